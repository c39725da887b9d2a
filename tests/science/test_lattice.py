"""Lattice types of ideal crystals in many settings, of crystals that only look alike, and of real bulks."""

import os
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell

from aiida_surfbench.science.lattice import LATTICES, lattice_type

SHARED = Path(os.environ.get("SURFBENCH_SHARED", Path(__file__).parents[3] / "shared"))
SETS = sorted((SHARED / "data" / "mp_surfaces").glob("*.extxyz"))


def lattice_of(atoms):
    return lattice_type(atoms.numbers, atoms.cell.array, atoms.positions)


def stacked(a, c_per_layer, layers):
    """Close-packed layers: A, B and C are the three sites of a hexagonal layer."""
    sites = {"A": (0.0, 0.0), "B": (1 / 3, 2 / 3), "C": (2 / 3, 1 / 3)}
    scaled = [(*sites[layer], height / len(layers)) for height, layer in enumerate(layers)]
    cell = [[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, c_per_layer * len(layers)]]
    return Atoms(f"Mg{len(layers)}", scaled_positions=scaled, cell=cell, pbc=True)


IDEAL = [
    ("fcc", bulk("Cu", "fcc", a=3.6)),
    ("fcc", bulk("Cu", "fcc", a=3.6, cubic=True)),
    ("fcc", bulk("Cu", "fcc", a=3.6, orthorhombic=True)),
    ("bcc", bulk("Fe", "bcc", a=2.87)),
    ("bcc", bulk("Fe", "bcc", a=2.87, cubic=True)),
    ("hcp", bulk("Mg", "hcp", a=3.2, c=5.2)),
    ("hcp", bulk("Mg", "hcp", a=3.2, c=5.2, orthorhombic=True)),
    ("hcp", bulk("Zn", "hcp", a=2.66, c=4.95)),
    ("diamond", bulk("Si", "diamond", a=5.43)),
    ("diamond", bulk("Si", "diamond", a=5.43, cubic=True)),
    ("other", bulk("Po", "sc", a=3.3)),
    ("other", bulk("Sn", "bct", a=5.83, c=3.18)),
]


@pytest.mark.parametrize(("expected", "atoms"), IDEAL)
def test_ideal_crystals(expected, atoms):
    assert lattice_of(atoms) == expected


@pytest.mark.parametrize(("expected", "atoms"), IDEAL)
def test_rotated_reflected_shifted_repeated_and_sheared_cells(expected, atoms):
    rng = np.random.default_rng(3)
    rotated = atoms.copy()
    rotated.rotate(37.0, (1.0, 2.0, 3.0), rotate_cell=True)
    rotated.positions += rng.uniform(-9, 9, 3)
    mirror = np.diag([1.0, 1.0, -1.0])
    reflected = Atoms(rotated.numbers, positions=rotated.positions @ mirror, cell=rotated.cell @ mirror, pbc=True)
    left_handed = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell[[1, 0, 2]], pbc=True)
    sheared = make_supercell(atoms, [[1, 2, 0], [0, 1, -1], [0, 0, 1]])
    for changed in (rotated, reflected, left_handed, sheared, atoms.repeat((2, 1, 2))):
        assert lattice_of(changed) == expected


@pytest.mark.parametrize(
    ("layers", "expected"),
    [("AB", "hcp"), ("AC", "hcp"), ("ABAB", "hcp"), ("ABC", "fcc"), ("A", "other"), ("ABAC", "other")],
)
def test_stackings(layers, expected):
    """AB is hcp, ABC at the ideal height fcc; simple hexagonal (A) and double hcp (ABAC) are neither."""
    assert lattice_of(stacked(3.2, 3.2 * np.sqrt(2 / 3), layers)) == expected


def test_stretched_abc_stacking_is_not_fcc():
    assert lattice_of(stacked(3.2, 1.05 * 3.2 * np.sqrt(2 / 3), "ABC")) == "other"


@pytest.mark.parametrize("atoms", [bulk("NaCl", "rocksalt", a=5.6), bulk("GaAs", "zincblende", a=5.65)])
def test_compounds_are_other(atoms):
    assert lattice_of(atoms) == "other"


def test_noise_within_the_tolerance_does_not_matter():
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True)
    atoms.rattle(0.002, seed=1)
    assert lattice_of(atoms) == "fcc"


def test_coincident_atoms_are_other():
    assert lattice_type([29, 29], np.eye(3) * 3.0, np.zeros((2, 3))) == "other"


@pytest.mark.parametrize(
    ("numbers", "cell", "positions"),
    [
        ([], np.eye(3), np.zeros((0, 3))),
        ([29], np.eye(2), np.zeros((1, 3))),
        ([29, 29], np.eye(3), np.zeros((1, 3))),
        ([29], np.zeros((3, 3)), np.zeros((1, 3))),
        ([29], np.eye(3), [[np.nan, 0, 0]]),
    ],
)
def test_what_is_no_crystal_is_refused(numbers, cell, positions):
    with pytest.raises(ValueError, match="not a crystal"):
        lattice_type(numbers, cell, positions)


# What the real bulks are. Au, Pt, Zn and so on hold two layers: hcp. Four atoms on 2a and 2c are double hcp
# (Ag, Mg-4, Li-3, Cu-4, Sr-7), Li8 is the I-43d high-pressure phase, Li3 the 9R one, and Ca-9 an hcp with its
# layers slid by 0.05 Å each into Cmcm (63): all "other".
REAL = {
    "mp_slabs_15_elements": {
        "fcc": "Au-bulk-2 Ag-bulk-3 Pt-bulk-1 Li-bulk-6 Pd-bulk-2 Ir-bulk-1 Ca-bulk-7 Cu-bulk-5 Zr-bulk-3 Sr-bulk-9 "
        "Al-bulk-8 Rh-bulk-3 Sc-bulk-8",
        "bcc": "Mg-bulk-6 Sr-bulk-10",
        "hcp": "Au-bulk-1 Pt-bulk-0 Zn-bulk-5 Sr-bulk-6 Zr-bulk-2 Sc-bulk-6 Li-bulk-2",
        "other": "Li-bulk-5 Ag-bulk-2 Mg-bulk-4 Li-bulk-3 Cu-bulk-4 Ca-bulk-9 Sr-bulk-7",
    },
    "dft_slabs_5_elements": {
        "fcc": "Cu-bulk-1 Cu-bulk-2",
        "bcc": "Mo-bulk-1 Mo-bulk-2 W-bulk-1",
        "diamond": "Si-bulk-1",
        "other": "Li-bulk-1",
    },
}


@pytest.mark.skipif(not SETS, reason="the shared data are not here")
@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_real_bulks(path):
    found = {
        atoms.info["structure_id"]: lattice_of(atoms)
        for atoms in ase.io.read(path, index=":")
        if atoms.info["role"] == "bulk"
    }
    assert set(found.values()) <= set(LATTICES)
    if path.stem in REAL:
        assert found == {name: lattice for lattice, names in REAL[path.stem].items() for name in names.split()}
