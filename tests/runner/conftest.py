"""Real structures, real weights and job folders for the runner's tests."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import pytest
from ase import Atoms
from ase.build import bulk, fcc111

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("SURFBENCH_SHARED", REPOSITORY.parent / "shared"))
M3GNET = SHARED / "data" / "weights" / "M3GNet-MP-2021.2.8-PES"
SLABS = SHARED / "data" / "mp_surfaces" / "mp_slabs_15_elements.extxyz"
CHGNET = "pretrained/0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar"

EMT: dict[str, Any] = {"family": "ase", "name": "emt", "config": {"factory": "ase.calculators.emt:EMT"}}

JobFolder = Callable[..., Path]


def potential_of(family: str) -> dict[str, Any]:
    """Return the ``potential`` of a job, or skip where its package or weights are absent."""
    if family == "ase":
        return EMT
    if family == "chgnet":
        pytest.importorskip("chgnet", reason="chgnet is not installed")
        return {
            "family": "chgnet",
            "name": "chgnet-0.3.0",
            "files": {"x.pth.tar": {"package": "chgnet", "path": CHGNET}},
        }
    if importlib.util.find_spec("matgl") is None:
        pytest.skip("matgl is not installed")
    if not M3GNET.is_dir():
        pytest.skip(f"the M3GNet weights are not at {M3GNET} (set SURFBENCH_SHARED)")
    files = {name: {"path": str(M3GNET / name)} for name in ("model.json", "model.pt", "state.pt")}
    return {"family": "m3gnet", "name": "m3gnet", "files": files}


def named(atoms: Atoms, structure_id: str) -> Atoms:
    """Return ``atoms`` with its id."""
    atoms.info["structure_id"] = structure_id
    return atoms


def rattled(symbol: str, seed: int, **kwargs: Any) -> Atoms:
    """Return a small bulk cell without symmetry."""
    atoms = bulk(symbol, cubic=True, **kwargs)
    atoms.rattle(0.08, seed=seed)
    atoms.set_cell(atoms.cell.array @ [[1.01, 0.02, 0], [0, 0.99, 0.01], [0, 0, 1]], scale_atoms=True)
    return atoms


def small_set() -> list[Atoms]:
    """Return four sound structures of elements that all three families know."""
    slab = fcc111("Cu", (1, 1, 3), vacuum=6.0, periodic=True)
    return [
        named(rattled("Cu", 1), "cu"),
        named(slab, "cu-slab"),
        named(bulk("Al"), "al"),
        named(rattled("Au", 2), "au"),
    ]


@pytest.fixture
def job_folder(tmp_path: Path) -> JobFolder:
    """Make a folder with job.json and structures.extxyz; returns the path of job.json."""

    def make(frames: list[Atoms] | str | None = None, **changes: Any) -> Path:
        job: dict[str, Any] = {
            "schema_version": 1,
            "command": "predict",
            "structures": "structures.extxyz",
            "n_structures": None,
            "potential": EMT,
            "options": {},
            "execution": {},
            "environment": None,
        }
        job.update(changes)
        if isinstance(frames, str):
            (tmp_path / "structures.extxyz").write_text(frames)
        else:
            ase.io.write(tmp_path / "structures.extxyz", frames or small_set(), format="extxyz")
        path = tmp_path / "job.json"
        path.write_text(json.dumps(job))
        return path

    return make


def results_of(job: Path) -> dict[str, Any]:
    """Return results.json as strict JSON."""

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} in results.json")

    content: dict[str, Any] = json.loads((job.parent / "results.json").read_text(), parse_constant=refuse)
    return content


def records_of(job: Path) -> dict[str, dict[str, Any]]:
    """Return all lines of all parts by structure id, in their order."""
    records: dict[str, dict[str, Any]] = {}
    for part in sorted((job.parent / "parts").glob("*.jsonl")):
        for line in part.read_text().splitlines():
            record = json.loads(line)
            assert record["structure_id"] not in records
            records[record["structure_id"]] = record
    return records
