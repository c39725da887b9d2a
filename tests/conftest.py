"""One AiiDA profile for all tests, small surface sets, a fast real potential (ASE's EMT), processes run in place."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
import venv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.build
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT

# Importing AiiDA's fixtures makes its configuration folder: not in the home of who runs the tests
os.environ.setdefault("AIIDA_PATH", tempfile.mkdtemp(prefix="surfbench-tests-"))

pytest_plugins = ["aiida.tools.pytest_fixtures"]

os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("SURFBENCH_SHARED", REPOSITORY.parent / "shared"))
METALS = ("Ag", "Al", "Au", "Cu", "Ni", "Pd")
EMT_CONFIG = {"factory": "ase.calculators.emt:EMT"}


def _record(atoms: Atoms, structure_id: str, **columns: Any) -> Any:
    from aiida_surfbench.formats.extxyz import record_from_atoms

    copy = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    return record_from_atoms(copy, structure_id=structure_id, **columns)


def _emt_energy(atoms: Atoms) -> float:
    copy = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    copy.calc = EMT()
    return float(copy.get_potential_energy())


def _metal_records(elements: Sequence[str], shift: float) -> list[Any]:
    """Return a bulk and two slabs per metal.

    The (111) slab brings a surface energy only, the (100) slab both references. The bulks' references are EMT's plus
    ``shift`` (eV/atom) times their number, so that errors are known.
    """
    records = []
    for number, symbol in enumerate(elements):
        bulk = ase.build.bulk(symbol, cubic=True)
        reference = _emt_energy(bulk) + shift * (number + 1) * len(bulk)
        records.append(_record(bulk, f"{symbol}-bulk", role="bulk", dft_energy=reference, source="made"))
        for build, hkl in ((ase.build.fcc111, (1, 1, 1)), (ase.build.fcc100, (1, 0, 0))):
            slab = build(symbol, (1, 1, 4), vacuum=6.0, periodic=True)
            slab.rattle(0.02, seed=number)
            columns = {"role": "slab", "bulk_id": f"{symbol}-bulk", "miller_index": list(hkl)}
            columns["dft_surface_energy"] = 0.9 + 0.1 * number + 0.05 * sum(hkl)
            if hkl == (1, 0, 0):
                columns["dft_energy"] = _emt_energy(slab) + shift * (number + 1) * len(slab) + 0.1
            records.append(_record(slab, f"{symbol}-{''.join(map(str, hkl))}", **columns))
    return records


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real data, or skip."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"there is no real data at {SHARED} (set SURFBENCH_SHARED)")
    return SHARED / "data"


@pytest.fixture(scope="session")
def mp_slabs(shared: Path) -> Path:
    """Return the file of real Materials Project slabs."""
    return shared / "mp_surfaces" / "mp_slabs_15_elements.extxyz"


@pytest.fixture(scope="session")
def m3gnet_weights(shared: Path) -> Path:
    """Return the folder of the real M3GNet, or skip."""
    if importlib.util.find_spec("matgl") is None:
        pytest.skip("matgl is not installed")
    return shared / "weights" / "M3GNet-MP-2021.2.8-PES"


@pytest.fixture(scope="session")
def chgnet_installed() -> None:
    """Skip where chgnet is not installed."""
    if importlib.util.find_spec("chgnet") is None:
        pytest.skip("chgnet is not installed")


@pytest.fixture(scope="session")
def make_record() -> Callable[..., Any]:
    """Return a function that makes a record of an ASE structure: ``make_record(atoms, id, **columns)``."""
    return _record


@pytest.fixture(scope="session")
def emt_energy() -> Callable[[Atoms], float]:
    """Return a function that gives EMT's energy (eV) of a structure, asked for directly."""
    return _emt_energy


@pytest.fixture(scope="session")
def metal_records() -> Callable[..., list[Any]]:
    """Return a function that makes a valid surface set of EMT's metals, a bulk and two slabs each."""

    def make(elements: Sequence[str] = METALS, shift: float = 0.01) -> list[Any]:
        return _metal_records(elements, shift)

    return make


@pytest.fixture(scope="session")
def write_set() -> Callable[[Path, Iterable[Any]], Path]:
    """Return a function that writes records as a structure-set file."""
    from aiida_surfbench.formats.extxyz import format_structure

    def write(path: Path, records: Iterable[Any]) -> Path:
        path.write_text("".join(format_structure(record) for record in records), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def localhost(aiida_profile: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return this machine as a computer that is polled often."""
    from aiida.orm import Computer

    computer = Computer(
        label="localhost",
        hostname="localhost",
        transport_type="core.local",
        scheduler_type="core.direct",
        workdir=str(tmp_path_factory.mktemp("scratch")),
    ).store()
    computer.configure(use_login_shell=False, safe_interval=0)
    computer.set_minimum_job_poll_interval(0.1)
    computer.set_default_mpiprocs_per_machine(1)
    return computer


@pytest.fixture(scope="session")
def code(localhost: Any) -> Any:
    """Return the Code of the Python that runs the tests."""
    from aiida_surfbench.ingestion import get_code

    return get_code()


@pytest.fixture(scope="session")
def make_python_code(localhost: Any) -> Callable[[str, str], Any]:
    """Return a function that makes the Code of an executable: ``make_python_code(label, path)``."""
    from aiida.orm import InstalledCode

    def make(label: str, path: str) -> Any:
        return InstalledCode(computer=localhost, filepath_executable=path, label=label).store()

    return make


@pytest.fixture(scope="session")
def emt(aiida_profile: Any) -> Any:
    """Return EMT as a stored potential; it knows six metals of the sets here."""
    from aiida_surfbench.ingestion import install_potential

    return install_potential("ase", "emt", config=EMT_CONFIG)


@pytest.fixture(scope="session")
def dataset(aiida_profile: Any, metal_records: Callable[..., list[Any]]) -> Any:
    """Return the stored surface set of EMT's metals, labelled ``metals``."""
    from aiida_surfbench.ingestion import store_surface_set

    return store_surface_set(metal_records(), "metals", {"kind": "test"})


@pytest.fixture(scope="session")
def run(code: Any) -> Callable[[Any], Any]:
    """Return a function that runs a builder in place and returns the process node."""
    from aiida_surfbench.launch import run_in_place

    return run_in_place


@pytest.fixture(scope="session")
def predict(run: Callable[[Any], Any], code: Any) -> Callable[..., Any]:
    """Return a function that runs a PredictCalculation: ``predict(structures, potential, **inputs)``."""
    from aiida.plugins import CalculationFactory

    def calculate(structures: Any, potential: Any, **inputs: Any) -> Any:
        from aiida.orm import Dict

        builder = CalculationFactory("surfbench.predict").get_builder()
        builder.code = inputs.pop("code", code)
        builder.structures, builder.potential = structures, potential
        for name, value in inputs.items():
            setattr(builder, name, Dict(value) if isinstance(value, dict) else value)
        return run(builder)

    return calculate


@pytest.fixture(scope="session")
def described(run: Callable[[Any], Any], code: Any) -> Any:
    """Return the node of a DescribeCalculation of the Code; WorkChains find its environment."""
    from aiida.plugins import CalculationFactory

    builder = CalculationFactory("surfbench.describe").get_builder()
    builder.code = code
    node = run(builder)
    assert node.is_finished_ok, node.exit_message
    return node


@pytest.fixture(scope="session")
def predicted(predict: Callable[..., Any], dataset: Any, emt: Any) -> Any:
    """Return the node of an EMT prediction of energies, forces and stresses of the dataset."""
    return predict(dataset, emt, options={"properties": ["energy", "forces", "stress"]})


@pytest.fixture(scope="session")
def evaluated(run: Callable[[Any], Any], code: Any, dataset: Any, emt: Any, described: Any) -> Any:
    """Return the node of a finished SurfaceEnergyWorkChain of EMT on the dataset."""
    from aiida.plugins import WorkflowFactory

    builder = WorkflowFactory("surfbench.surface_energy").get_builder()
    builder.code, builder.structures, builder.potential = code, dataset, emt
    node = run(builder)
    assert node.is_finished_ok, node.exit_message
    return node


@pytest.fixture(scope="session")
def lennard_jones(aiida_profile: Any) -> Any:
    """Return a second real potential that answers for every element, badly."""
    from aiida_surfbench.ingestion import install_potential

    kwargs = {"sigma": 2.3, "epsilon": 0.4, "rc": 6.0}
    return install_potential(
        "ase", "lj", config={"factory": "ase.calculators.lj:LennardJones", "kwargs": kwargs}, elements=METALS
    )


@pytest.fixture(scope="session")
def no_calculator(aiida_profile: Any) -> Any:
    """Return a potential whose factory does not exist."""
    from aiida_surfbench.ingestion import install_potential

    return install_potential("ase", "nothing", config={"factory": "ase.calculators.emt:Nothing"})


@pytest.fixture(scope="session")
def benchmarked(
    run: Callable[[Any], Any], dataset: Any, emt: Any, lennard_jones: Any, no_calculator: Any, described: Any
) -> Any:
    """Return the node of a finished benchmark of three potentials, of which one cannot be loaded."""
    from aiida_surfbench.launch import build_benchmark

    return run(build_benchmark(dataset, [emt, lennard_jones, no_calculator]))


@pytest.fixture(scope="session")
def light_python(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that makes a Python which has numpy, scipy and ase, and no potential's package.

    ``light_python(script, old=True)`` writes a starter script; with ``old`` that Python says its scipy is 0.1.
    """
    folder = tmp_path_factory.mktemp("light")
    venv.create(folder / "env", with_pip=False)
    packages, old = folder / "packages", folder / "old" / "scipy-0.1.dist-info"
    packages.mkdir()
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: scipy\nVersion: 0.1\n")
    site = Path(np.__file__).parents[1]
    for name in ("numpy", "scipy", "ase"):
        for path in (*site.glob(name), *site.glob(f"{name}.libs"), *site.glob(f"{name}-*.dist-info")):
            (packages / path.name).symlink_to(path)

    def make(script: Path, old: bool = False) -> Path:
        path = f"{folder / 'old'}:{packages}" if old else str(packages)
        script.write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {folder / "env" / "bin" / "python"} "$@"\n')
        script.chmod(0o755)
        return script

    return make


@pytest.fixture(scope="session")
def light_code(
    light_python: Callable[..., Path], make_python_code: Callable[[str, str], Any], tmp_path_factory: Any
) -> Any:
    """Return the Code of a Python with numpy, scipy and ase alone."""
    return make_python_code("light", str(light_python(tmp_path_factory.mktemp("light-code") / "python")))


@pytest.fixture(scope="session")
def broken_records(metal_records: Callable[..., list[Any]]) -> list[Any]:
    """Return a surface set in which a slab has two atoms on one place, and nothing else is wrong."""
    records = metal_records(("Cu", "Ni"))
    slab = records[1]
    positions = slab.positions.copy()
    positions[1] = positions[0] + np.array([0.0, 0.0, 1e-4])
    return [records[0], replace(slab, positions=positions), *records[2:]]


@pytest.fixture(scope="session")
def child_environment() -> Callable[..., dict[str, str]]:
    """Return a function that makes the environment of a subprocess with an AiiDA folder of its own."""

    def make(aiida_path: Path, **changes: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIIDA_", "PYTEST_"))}
        folder = str(Path(sys.executable).parent)
        path = folder + os.pathsep + kept.get("PATH", "")
        return {**kept, "PATH": path, "OMP_NUM_THREADS": "1", "AIIDA_PATH": str(aiida_path), **changes}

    return make


@pytest.fixture(scope="session")
def load_json() -> Callable[[str], Any]:
    """Return a function that parses strict JSON: NaN and Infinity are refused."""

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    return lambda text: json.loads(text, parse_constant=refuse)
