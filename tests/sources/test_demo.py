"""The demonstration set and the facts it is made of."""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase.io import iread
from pymatgen.core.structure import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from aiida_surfbench.formats.extxyz import write_structures
from aiida_surfbench.formats.structure_set import BULK, SLAB
from aiida_surfbench.sources.demo import DEMO_DESCRIPTION, demo_bulks, demo_records, demo_surface_energies
from aiida_surfbench.sources.extxyz import check_surface_records, read_surface_set

SHARED = Path(os.environ.get("SURFBENCH_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data"
# space group, atoms in the primitive cell, allowed Wyckoff letters
POLYMORPHS = {"fcc": (225, 1, "a"), "bcc": (229, 1, "a"), "hcp": (194, 2, "cd")}


def shared(name):
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{path} is not here: the facts cannot be compared with the files they were taken from")
    return path


@pytest.fixture(scope="module")
def records():
    return demo_records()


@pytest.fixture(scope="module")
def polymorphs():
    """The lowest structure of each kind by element: (energy in eV/atom, structure)."""
    with gzip.open(shared("mp_surfaces/mp_pbe_element_refs.json.gz"), "rt") as stream:
        references = json.load(stream)
    found = {}
    for element in demo_bulks():
        entry = references[element]
        for energy, plain in zip(entry["energy_per_atom"], entry["structure"], strict=True):
            structure = Structure.from_dict(plain)
            if len(structure) > 4:
                continue
            analyzer = SpacegroupAnalyzer(structure)
            for lattice, (number, n_atoms, letters) in POLYMORPHS.items():
                if (
                    analyzer.get_space_group_number() == number
                    and len(analyzer.get_primitive_standard_structure()) == n_atoms
                    and set(analyzer.get_symmetry_dataset().wyckoffs) <= set(letters)
                ):
                    found[element, lattice] = min(
                        found.get((element, lattice), (0.0, None)), (energy, structure), key=first
                    )
    return found


def first(pair):
    return pair[0]


def test_is_a_valid_surface_set(records):
    check_surface_records(records)
    assert all(record.dft_energy is not None for record in records if record.role == BULK)
    assert all(record.dft_surface_energy is not None for record in records if record.role == SLAB)
    assert all("Tran" in record.extra["reference"] for record in records if record.role == SLAB)


def test_counts(records):
    counts = Counter((record.role, record.extra["crystal_structure"]) for record in records)
    assert counts == {
        (BULK, "fcc"): 9,
        (SLAB, "fcc"): 29,
        (BULK, "bcc"): 9,
        (SLAB, "bcc"): 24,
        (BULK, "hcp"): 5,
        (SLAB, "hcp"): 9,
    }
    facets = Counter(record.element for record in records if record.role == SLAB)
    assert len(facets) == 23
    assert sum(number >= 3 for number in facets.values()) == 13
    assert {element for element, number in facets.items() if number == 1} == {"Dy"}


def test_ids_are_readable(records):
    ids = {record.structure_id for record in records}
    assert {"Cu-fcc", "Cu-fcc-111", "Mo-bcc-211", "Mg-hcp-001", "Mg-hcp-100", "Dy-hcp-102"} <= ids
    assert len(ids) == len(records)


def test_slabs_are_of_moderate_size(records):
    for record in records:
        if record.role == SLAB:
            assert record.n_atoms <= 24
            assert record.extra["n_layers"] >= 5
            height = np.ptp(record.positions[:, 2])
            assert height > 8.0
            assert record.cell[2, 2] - height >= 10.0


def test_deterministic_and_unchanged_by_a_file(records, tmp_path):
    assert [record.sha256 for record in demo_records()] == [record.sha256 for record in records]
    path = tmp_path / "demo.extxyz"
    with path.open("w") as stream:
        write_structures(stream, records)
    read = read_surface_set(path)
    assert [record.row() for record in read] == [record.row() for record in records]


def test_some_elements(records):
    some = demo_records(["Cu", "Mg"])
    assert [record.structure_id for record in some] == [
        "Cu-fcc",
        "Cu-fcc-100",
        "Cu-fcc-110",
        "Cu-fcc-111",
        "Mg-hcp",
        "Mg-hcp-001",
        "Mg-hcp-100",
    ]
    assert {record.sha256 for record in some} <= {record.sha256 for record in records}
    with pytest.raises(ValueError, match=r"has no Bi, Ge; it has Al,"):
        demo_records(["Ge", "Cu", "Bi"])
    assert demo_records([]) == []


def test_description_says_what_the_set_is_not():
    assert "unrelaxed" in DEMO_DESCRIPTION["structures"]
    assert "biased upward" in DEMO_DESCRIPTION["caveat"]
    assert "160080" in DEMO_DESCRIPTION["surface_energies"]
    assert "matcalc" in DEMO_DESCRIPTION["bulks"]


def test_every_fact_is_cited():
    assert all(bulk.source for bulk in demo_bulks().values())
    assert all(surface.source for surface in demo_surface_energies())
    assert all(surface.element in demo_bulks() for surface in demo_surface_energies())


def test_surface_energies_are_those_quoted():
    with shared("facts/tran2016_surface_energies.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    quoted = {}
    for row in sorted(rows, key=lambda row: "3 decimals" in row["source"]):  # three decimals replace two
        if row["element"] not in {"Ga", "Ge", "Bi"}:
            quoted[row["element"], row["miller_index"]] = float(row["surface_energy_j_m2"])
    assert {(row.element, row.indices): row.surface_energy for row in demo_surface_energies()} == quoted


def test_bulks_are_those_of_the_element_references(polymorphs):
    for bulk in demo_bulks().values():
        energy, structure = polymorphs[bulk.element, bulk.lattice]
        assert bulk.energy_per_atom == energy
        volume = structure.volume / len(structure)
        if bulk.lattice == "hcp":
            assert (bulk.a, bulk.c) == (round(structure.lattice.a, 6), round(structure.lattice.c, 6))
        else:
            assert bulk.a == round((volume * {"fcc": 4, "bcc": 2}[bulk.lattice]) ** (1 / 3), 6)


def test_polymorphs_follow_the_rule(polymorphs):
    facets = {surface.element: len(surface.indices.replace("-", "")) for surface in demo_surface_energies()}
    for bulk in demo_bulks().values():
        if facets[bulk.element] == 4:
            assert bulk.lattice == "hcp"
            continue
        lower = min((polymorphs[bulk.element, lattice][0], lattice) for lattice in ("fcc", "bcc"))[1]
        assert bulk.lattice == ("bcc" if bulk.element == "Li" else lower)


def test_lithium_is_bcc():
    """The surface energies quoted for Li are those that the Materials Project has for slabs of bcc."""
    quoted = {row.miller_index: row.surface_energy for row in demo_surface_energies() if row.element == "Li"}
    found = {}
    for atoms in iread(shared("mp_surfaces/mp_slabs_15_elements.extxyz"), index=":", format="extxyz"):
        if atoms.info["role"] == SLAB and set(atoms.symbols) == {"Li"} and atoms.info["bulk_id"] == "Li-bulk-5":
            found[tuple(atoms.info["miller_index"])] = round(atoms.info["dft_surface_energy"], 2)
            if tuple(atoms.info["miller_index"]) == (1, 0, 0):
                area = np.linalg.norm(np.cross(atoms.cell[0], atoms.cell[1]))
                assert area == pytest.approx(demo_bulks()["Li"].a ** 2, rel=0.01)  # bcc: one atom per a²
    assert quoted == {hkl: found[hkl] for hkl in quoted}
