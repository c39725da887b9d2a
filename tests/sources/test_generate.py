"""Cutting slabs: areas, layers and neighbours against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from pymatgen.core.lattice import Lattice

from aiida_surfbench.formats.structure_set import BULK, SLAB, StructureRecord, check_geometry, check_surface_record
from aiida_surfbench.sources.generate import SlabError, cut_slab, cut_slabs, generate_bulk

A, C = 3.2, 5.2
NEAREST = {"fcc": A / math.sqrt(2), "bcc": A * math.sqrt(3) / 2, "hcp": A}
COORDINATION = {"fcc": 12, "bcc": 8, "hcp": 12}

# area of one atom in its layer (Å²), distance between layers (Å), neighbours of an atom of the outermost layer
FACETS = {
    ("fcc", (1, 1, 1)): (A**2 * math.sqrt(3) / 4, A / math.sqrt(3), 9),
    ("fcc", (1, 0, 0)): (A**2 / 2, A / 2, 8),
    ("fcc", (1, 1, 0)): (A**2 / math.sqrt(2), A / math.sqrt(8), 7),
    ("bcc", (1, 1, 0)): (A**2 / math.sqrt(2), A / math.sqrt(2), 6),
    ("bcc", (1, 0, 0)): (A**2, A / 2, 4),
    ("bcc", (1, 1, 1)): (A**2 * math.sqrt(3), A / math.sqrt(12), 4),
    ("hcp", (0, 0, 1)): (A**2 * math.sqrt(3) / 2, 5.2256 / 2, 9),
}


def bulk(lattice):
    # the ideal c/a makes all twelve neighbours of hcp equally far
    return generate_bulk("Mg", lattice, A, A * math.sqrt(8 / 3) if lattice == "hcp" else None)


def atoms(record):
    return Atoms(numbers=record.numbers, positions=record.positions, cell=record.cell, pbc=True)


def coordination(record, cutoff):
    return np.bincount(neighbor_list("i", atoms(record), cutoff), minlength=record.n_atoms)


def layers(record):
    return np.unique(np.round(record.positions[:, 2], 4))


@pytest.mark.parametrize("lattice", ["fcc", "bcc", "hcp"])
def test_bulk(lattice):
    record = bulk(lattice)
    assert (record.structure_id, record.role, record.element) == (f"Mg-{lattice}", BULK, "Mg")
    assert check_geometry(record) is None
    assert record.n_atoms == {"fcc": 4, "bcc": 2, "hcp": 2}[lattice]
    volume = {"fcc": A**3, "bcc": A**3, "hcp": A**3 * math.sqrt(2)}[lattice]
    assert np.linalg.det(record.cell) == pytest.approx(volume)
    nearest = NEAREST[lattice]
    assert (coordination(record, 1.1 * nearest) == COORDINATION[lattice]).all()
    assert neighbor_list("d", atoms(record), 1.1 * nearest) == pytest.approx(nearest)


def test_bulk_energy_is_that_of_the_cell():
    assert generate_bulk("Cu", "fcc", 3.6, energy_per_atom=-4.0).dft_energy == -16.0
    assert generate_bulk("Cu", "fcc", 3.6).dft_energy is None
    assert generate_bulk("Cu", "fcc", 3.6, structure_id="copper").structure_id == "copper"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("Cu", "sc", 3.0), "lattice must be one of fcc, bcc, hcp; got 'sc'"),
        (("Xx", "fcc", 3.0), "'Xx' is no chemical element"),
        (("X", "fcc", 3.0), "'X' is no chemical element"),
        (("Mg", "hcp", 3.2), "c belongs to hcp"),
        (("Cu", "fcc", 3.6, 5.0), "c belongs to hcp"),
        (("Cu", "fcc", 0.0), "positive lengths"),
        (("Cu", "fcc", float("nan")), "positive lengths"),
        (("Mg", "hcp", 3.2, -5.0), "positive lengths"),
    ],
)
def test_bulk_refusals(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        generate_bulk(*arguments)


@pytest.mark.parametrize(("lattice", "hkl"), FACETS)
def test_slab_against_hand_computed_numbers(lattice, hkl):
    record = cut_slab(bulk(lattice), hkl)
    area, spacing, outermost = FACETS[lattice, hkl]
    n_layers = len(layers(record))
    assert record.extra["n_layers"] == n_layers
    assert record.area_a2 * n_layers / record.n_atoms == pytest.approx(area, rel=1e-6)
    assert record.n_atoms == n_layers  # one atom per layer: the smallest cell
    assert np.diff(layers(record)) == pytest.approx(spacing, abs=2e-4)
    assert n_layers >= 5
    assert n_layers * spacing >= 10.0 - 2e-3

    neighbours = coordination(record, 1.1 * NEAREST[lattice])
    assert neighbours[0] == neighbours[-1] == outermost
    height = record.positions[:, 2]
    interior = (height > height.min() + 1.1 * NEAREST[lattice]) & (height < height.max() - 1.1 * NEAREST[lattice])
    assert interior.any()
    assert (neighbours[interior] == COORDINATION[lattice]).all()
    assert neighbor_list("d", atoms(record), 1.1 * NEAREST[lattice]).min() == pytest.approx(NEAREST[lattice])


INDICES = [
    (1, 1, 1),
    (1, 0, 0),
    (1, 1, 0),
    (2, 1, 0),
    (2, 1, 1),
    (2, 2, 1),
    (3, 2, 1),
    (1, 0, 2),
    (0, -1, 1),
    (-1, 1, 2),
]


@pytest.mark.parametrize("hkl", INDICES)
@pytest.mark.parametrize("lattice", ["fcc", "bcc", "hcp"])
def test_cell_has_its_fixed_form(lattice, hkl):
    record = cut_slab(bulk(lattice), hkl, min_vacuum_size=12.0)
    a, b, c = record.cell
    assert check_geometry(record) is None
    assert check_surface_record(record, references=False) is None
    assert (record.role, record.bulk_id, record.miller_index) == (SLAB, f"Mg-{lattice}", hkl)
    assert a[1] == a[2] == b[2] == c[0] == c[1] == 0.0
    assert min(a[0], b[1], c[2]) > 0.0
    assert np.linalg.norm(a) <= np.linalg.norm(b) + 1e-5
    assert -0.5 - 1e-5 <= a @ b / (a @ a) <= 1e-5
    height = record.positions[:, 2]
    assert (np.diff(np.round(height, 3)) >= 0).all()
    assert c[2] - np.ptp(height) == pytest.approx(12.0)
    assert height.min() == pytest.approx(6.0)
    # volume per atom is the bulk's: n layers of thickness d under the area, d the bulk's lattice plane distance
    source = bulk(lattice)
    d_hkl = Lattice(source.cell).d_hkl(hkl)
    planes = record.n_atoms * np.linalg.det(source.cell) / source.n_atoms / record.area_a2 / d_hkl
    assert planes == pytest.approx(round(planes), abs=1e-5)
    # every neighbour distance is one of the bulk's
    found = neighbor_list("d", atoms(record), 1.8 * A)
    known = neighbor_list("d", atoms(source), 1.9 * A)
    assert max(np.abs(known - distance).min() for distance in found) < 1e-6


def test_ten_minus_one_zero_is_cut_between_the_far_layers():
    record = cut_slab(bulk("hcp"), (1, 0, -1, 0))
    assert (record.structure_id, record.miller_index) == ("Mg-hcp-100", (1, 0, 0))
    gaps = np.diff(layers(record))
    assert gaps[0] == pytest.approx(A / math.sqrt(12), abs=2e-4)
    assert gaps[1] == pytest.approx(A / math.sqrt(3), abs=2e-4)
    assert coordination(record, 1.1 * A).min() == 8


def test_sizes_are_kept():
    record = cut_slab(bulk("fcc"), (1, 1, 1), min_slab_size=30.0, min_vacuum_size=20.0)
    spacing = A / math.sqrt(3)
    assert record.n_atoms == math.ceil(30.0 / spacing)
    assert record.cell[2, 2] == pytest.approx((record.n_atoms - 1) * spacing + 20.0)
    assert cut_slab(bulk("fcc"), (1, 1, 1), min_slab_size=1.0, min_layers=7).n_atoms == 7
    for size in ("min_slab_size", "min_vacuum_size", "min_layers"):
        with pytest.raises(ValueError, match="must be positive"):
            cut_slab(bulk("fcc"), (1, 1, 1), **{size: 0})


def test_equivalent_planes_have_equal_slabs():
    slabs = [cut_slab(bulk("fcc"), hkl) for hkl in [(1, 1, 0), (0, 1, 1), (1, 0, -1), (2, 2, 0)]]
    assert len({round(slab.area_a2, 6) for slab in slabs}) == 1
    assert len({slab.n_atoms for slab in slabs}) == 1
    assert slabs[3].miller_index == (1, 1, 0)
    assert slabs[3].sha256 == slabs[0].sha256
    assert slabs[2].structure_id == "Mg-fcc-1_0_-1"


def test_deterministic():
    assert cut_slab(bulk("hcp"), (1, 0, 2)).sha256 == cut_slab(bulk("hcp"), (1, 0, 2)).sha256


@pytest.mark.parametrize("hkl", [(0, 0, 0), (1, 1), (1, 0, 1, 0)])
def test_no_plane(hkl):
    with pytest.raises(ValueError, match=r"is no plane|three whole numbers|must be -\(h \+ k\)"):
        cut_slab(bulk("fcc"), hkl)


FACE_CENTRES = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def compound(name, a, basis):
    """A face-centred cubic crystal; ``basis`` maps a shift of the face centres to the atomic number there."""
    fractional = np.concatenate([(FACE_CENTRES + np.array(shift)) % 1.0 for shift in basis])
    return StructureRecord(
        structure_id=name,
        numbers=np.repeat(list(basis.values()), 4),
        positions=fractional * a,
        cell=np.diag([a, a, a]),
        role=BULK,
    )


QUARTER, HALF, THREE_QUARTERS = (0.25,) * 3, (0.5,) * 3, (0.75,) * 3
ORIGIN = (0.0,) * 3


def test_compound_slabs_are_stoichiometric_with_equivalent_faces():
    fluorite = compound("CaF2", 5.46, {ORIGIN: 20, QUARTER: 9, THREE_QUARTERS: 9})
    (slab,) = cut_slabs(fluorite, (1, 1, 1))
    assert slab.element == "CaF2"
    assert slab.numbers[0] == slab.numbers[-1] == 9  # F-Ca-F triple layers stay whole
    assert slab.n_atoms % 3 == 0
    rocksalt = compound("NaCl", 5.64, {ORIGIN: 11, HALF: 17})
    assert len(cut_slabs(rocksalt, (1, 0, 0))) == 1
    with pytest.raises(SlabError, match=r"NaCl, plane \(1, 1, 1\): no termination"):
        cut_slab(rocksalt, (1, 1, 1))


def test_a_compound_with_layers_of_two_kinds_cannot_have_equal_faces():
    # D0_3: along (1 0 0) layers of Fe and of Fe and Al take turns; along (1 1 0) all layers are alike
    alloy = compound("Fe3Al", 5.7, {ORIGIN: 13, HALF: 26, QUARTER: 26, THREE_QUARTERS: 26})
    assert len(cut_slabs(alloy, (1, 1, 0))) == 1
    with pytest.raises(SlabError, match="composition AlFe3"):
        cut_slabs(alloy, (1, 0, 0))


def test_diamond_is_cut_between_double_layers():
    silicon = compound("Si", 5.43, {ORIGIN: 14, QUARTER: 14})
    record = cut_slab(silicon, (1, 1, 1))
    assert coordination(record, 2.6).min() == 3
