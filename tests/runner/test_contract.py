"""What every family must do, on real models: agree with its own calculator, alone and in batches."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from ase import Atoms

from aiida_surfbench.runner import environment, predict
from aiida_surfbench.runner.checks import check_structure
from aiida_surfbench.runner.contract import FAMILIES
from aiida_surfbench.runner.families import get_family
from aiida_surfbench.runner.job import PotentialFile
from aiida_surfbench.runner.weights import resolve

from .conftest import REPOSITORY, potential_of, rattled, small_set

ALL = ["energy", "forces", "stress"]
#: float32 models: eV per atom.
TOLERANCE = 1e-5


@pytest.fixture(scope="module", params=FAMILIES)
def potential(request):
    spec = potential_of(request.param)
    family = get_family(request.param)
    environment.require_importable(family)
    files = {
        name: PotentialFile(entry["path"], entry.get("package"), None) for name, entry in spec.get("files", {}).items()
    }
    paths, _ = resolve(files, REPOSITORY)
    return family.load(paths, spec.get("config", {}), "cpu", "native", set())


@pytest.fixture(scope="module")
def structures() -> list[Atoms]:
    return small_set()


def energies(potential, structures):
    return [answer["energy"] for answer in potential.predict(structures, ["energy"])]


def close(structures, left, right):
    for atoms, one, other in zip(structures, left, right, strict=True):
        assert one == pytest.approx(other, abs=TOLERANCE * len(atoms))


def test_agrees_with_its_own_calculator(potential, structures):
    calculator = potential.calculator()
    few = [structures[0], structures[2]]
    answers = potential.predict(few, ALL)
    for atoms, answer in zip(few, answers, strict=True):
        own = atoms.copy()
        own.calc = calculator
        assert answer["energy"] == pytest.approx(own.get_potential_energy(), abs=TOLERANCE * len(atoms))
        np.testing.assert_allclose(answer["forces"], own.get_forces(), atol=1e-4)
        stress = np.asarray(own.get_stress(voigt=False))
        np.testing.assert_allclose(answer["stress"], stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]], atol=1e-5)
    close(few, [answer["energy"] for answer in answers], energies(potential, few))


def test_forces_and_stress_are_derivatives_of_the_energy(potential):
    """Signs and units, without trusting the calculator either."""
    atoms = rattled("Cu", 3)
    answer = potential.predict([atoms], ALL)[0]
    step = 0.02
    moved = []
    for sign in (1, -1):
        other = atoms.copy()
        other.positions[1, 2] += sign * step
        moved.append(other)
    for sign in (1, -1):
        other = atoms.copy()
        other.set_cell(atoms.cell.array @ np.diag([1 + sign * step / 4, 1, 1]), scale_atoms=True)
        moved.append(other)
    up, down, longer, shorter = energies(potential, moved)
    assert answer["forces"][1, 2] == pytest.approx(-(up - down) / (2 * step), abs=0.02)
    strain_derivative = (longer - shorter) / (2 * step / 4)
    assert answer["stress"][0] == pytest.approx(strain_derivative / atoms.get_volume(), abs=2e-3)


def test_asking_for_less_gives_less(potential, structures):
    answers = potential.predict(structures[:2], ["energy", "forces"])
    for atoms, answer in zip(structures[:2], answers, strict=True):
        assert answer["forces"].shape == (len(atoms), 3)
        assert "stress" not in answer
    close(structures[:2], [answer["energy"] for answer in answers], energies(potential, structures[:2]))
    assert "forces" not in potential.predict(structures[:1], ["energy"])[0]


def test_batch_equals_single_and_order_is_kept(potential, structures):
    batched = energies(potential, structures)
    close(structures, batched, [energies(potential, [atoms])[0] for atoms in structures])
    close(structures[::-1], batched[::-1], energies(potential, structures[::-1]))


def test_input_is_not_changed(potential, structures):
    before = copy.deepcopy(structures)
    potential.predict(structures, ["energy"])
    for atoms, old in zip(structures, before, strict=True):
        assert atoms == old
        assert atoms.calc is None
        assert list(atoms.arrays) == list(old.arrays)
        assert list(atoms.info) == list(old.info)


def test_lattice_translations_do_not_matter(potential):
    atoms = rattled("Cu", 4)
    other = atoms.copy()
    other.positions[0] += atoms.cell.array[0] - 2 * atoms.cell.array[2]
    other.positions += 0.37
    first, second = energies(potential, [atoms, other])
    assert first == pytest.approx(second, abs=TOLERANCE * len(atoms))


def test_energy_is_extensive(potential):
    atoms = rattled("Cu", 5)
    one, two = energies(potential, [atoms, atoms.repeat((2, 1, 1))])
    assert two == pytest.approx(2 * one, abs=2 * TOLERANCE * len(atoms))


def test_one_bad_among_many_fails_alone(potential, structures):
    bad = structures[0].copy()
    bad.symbols[0] = "X"  # passes no model; given past the checks on purpose
    batch = [structures[0], bad, structures[2]]
    outcomes = predict.outcomes_of(potential, ["energy"], batch)
    assert isinstance(outcomes[1], str)
    assert outcomes[1]
    good = [structures[0], structures[2]]
    close(good, [outcomes[0]["energy"], outcomes[2]["energy"]], energies(potential, good))


def test_known_elements_and_cutoff(potential, structures):
    for atoms in structures:
        assert check_structure(atoms, potential.elements, potential.cutoff) is None
    if potential.elements is not None:
        po = rattled("Cu", 6)
        po.symbols[0] = "Po"
        assert "not made for Po" in str(check_structure(po, potential.elements, potential.cutoff))


def test_nothing_is_written_to_the_current_folder(potential, structures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    potential.predict(structures, ["energy"])
    assert not list(tmp_path.iterdir())
