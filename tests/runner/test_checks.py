"""The checks before and after the model, against ASE's neighbour list and against known faults."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.neighborlist import primitive_neighbor_list

from aiida_surfbench.runner.checks import check_result, check_structure, nearest_neighbours


def reference(cell: np.ndarray, positions: np.ndarray, cutoff: float) -> np.ndarray:
    first, distances = primitive_neighbor_list("id", (True, True, True), cell, positions, cutoff)
    nearest = np.full(len(positions), np.inf)
    np.minimum.at(nearest, first, distances)
    return nearest


@pytest.mark.parametrize("seed", range(60))
def test_nearest_neighbours_against_ase(seed):
    random = np.random.default_rng(seed)
    n_atoms = int(random.choice([1, 1, 2, 5, 30]))
    cell = np.eye(3) + random.uniform(-0.4, 0.4, size=(3, 3))
    cell *= random.uniform(2.0, 8.0) / np.cbrt(np.linalg.det(cell))
    if seed % 3 == 0:  # very skewed
        cell[2] += random.integers(-3, 4) * cell[0] + random.integers(-3, 4) * cell[1]
    if seed % 3 == 1:  # a slab
        cell = np.diag([3.0, 3.5, 25.0]) + random.normal(size=(3, 3)) * 0.3
    positions = random.uniform(-1.5, 2.5, size=(n_atoms, 3)) @ cell  # not wrapped
    cutoff = float(random.uniform(1.0, 6.0))
    distances, partners = nearest_neighbours(cell, positions, cutoff)
    np.testing.assert_allclose(distances, reference(cell, positions, cutoff), atol=1e-9)
    assert ((partners >= 0) == np.isfinite(distances)).all()


def test_many_atoms_in_bounded_memory():
    atoms = bulk("Cu", cubic=True).repeat(8)
    atoms.rattle(0.05, seed=0)
    distances, _ = nearest_neighbours(atoms.cell.array, atoms.positions, 5.0)
    np.testing.assert_allclose(distances, reference(atoms.cell.array, atoms.positions, 5.0), atol=1e-9)


def test_a_flat_skewed_cell_is_no_trap():
    # As given, one height is some 0.003 Å: unrolling this basis would need tens of millions of images.
    cell = np.array([[2.0, 0, 0], [0, 3.0, 0], [1234.5, 987.0, 4.0]])
    distances, _ = nearest_neighbours(cell, np.zeros((1, 3)), 6.0)
    assert distances[0] == pytest.approx(2.0)


def faulty(name: str) -> Atoms:
    atoms = bulk("Cu", cubic=True)
    if name == "no atoms":
        return Atoms(cell=atoms.cell, pbc=True)
    if name == "cell":
        atoms.cell[0, 0] = np.nan
    if name == "infinite cell":
        atoms.cell[0, 0] = np.inf
    if name == "position":
        atoms.positions[2, 1] = np.nan
    if name == "pbc":
        atoms.pbc = (True, True, False)
    if name == "volume":
        atoms.cell[2] = atoms.cell[1]
    if name == "left-handed":
        atoms.cell[2] *= -1
    if name == "element":
        atoms.symbols[1] = "Po"
    if name == "coincident":
        atoms.positions[3] = atoms.positions[1]
    if name == "image":
        atoms = Atoms("Cu", cell=[0.3, 4, 4], pbc=True)
    if name == "across the boundary":
        atoms = Atoms("Cu2", positions=[[0.1, 0, 0], [3.9, 0, 0]], cell=[4, 4, 4], pbc=True)
    if name == "isolated":
        atoms = fcc111("Cu", (1, 1, 2), vacuum=12.0, periodic=True)
        atoms = atoms.repeat((3, 3, 1))
        atoms.append("Au")
        atoms.positions[-1] = atoms.cell.array[2] * 0.02
    return atoms


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no atoms", "no atoms"),
        ("cell", "the cell is not finite"),
        ("infinite cell", "the cell is not finite"),
        ("position", "position of atom 2 (Cu) is not finite"),
        ("pbc", "pbc T T F"),
        ("volume", "no volume"),
        ("left-handed", "left-handed"),
        ("element", "not made for Po"),
        ("coincident", "atom 1 (Cu) and atom 3 (Cu) are 0.000 Å apart"),
        ("image", "atom 0 (Cu) and its own periodic image are 0.300 Å apart"),
        ("across the boundary", "atom 0 (Cu) and atom 1 (Cu) are 0.200 Å apart"),
        ("isolated", "atom 18 (Au) has no neighbour within the potential's cutoff of 5.0 Å"),
    ],
)
def test_faults(fault, words):
    reason = check_structure(faulty(fault), {"Cu", "Au"}, 5.0)
    assert reason is not None
    assert words in reason


def test_sound_structures_pass():
    for atoms in (bulk("Cu"), bulk("Cu", cubic=True), fcc111("Au", (1, 1, 3), vacuum=8, periodic=True)):
        assert check_structure(atoms, {"Cu", "Au"}, 5.0) is None
    assert check_structure(bulk("Po", "sc", a=3.35), None, None) is None


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"energy": float("nan"), "forces": np.zeros((2, 3))}, "energy is not finite"),
        ({"energy": 1.0, "forces": np.full((2, 3), np.inf)}, "forces is not finite"),
        ({"energy": 1.0, "forces": np.zeros((3, 3))}, "shape (3, 3) instead of (2, 3)"),
        ({"energy": 1.0}, "no forces"),
    ],
)
def test_bad_results(result, words):
    assert words in str(check_result(result, 2, ["energy", "forces"]))


def test_good_result():
    result = {"energy": 1.0, "forces": np.zeros((2, 3)), "stress": np.zeros(6)}
    assert check_result(result, 2, ["energy", "forces", "stress"]) is None
