"""What the benchmarks share: structures, potentials, and the runner started as on a cluster."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from aiida_surfbench.formats.extxyz import read_structures, write_structures
from aiida_surfbench.formats.structure_set import StructureRecord
from aiida_surfbench.potentials import registry
from aiida_surfbench.runner import contract
from aiida_surfbench.runner.build import build_runner

SIGMA = 0.01  # Å


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the option all scripts have."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--structures", type=Path, nargs="+", required=True, help="structure-set files")
    return found


def enough(paths: list[Path], number: int, largest: int | None = None) -> list[StructureRecord]:
    """Return ``number`` structures: those of the files, then rattled copies of the slabs with ids of their own.

    :param largest: only structures of at most so many atoms.
    """
    records = []
    for source, path in enumerate(paths):
        for record in read_structures(path):
            bulk_id = None if record.bulk_id is None else f"s{source}-{record.bulk_id}"
            records.append(
                dataclasses.replace(record, structure_id=f"s{source}-{record.structure_id}", bulk_id=bulk_id)
            )
    if largest is not None:
        records = [record for record in records if record.n_atoms <= largest]
    return [*records[:number], *_rattled(records, number - len(records))]


def _rattled(records: list[StructureRecord], number: int) -> Iterator[StructureRecord]:
    rng = np.random.default_rng(0)
    slabs = [record for record in records if record.role == "slab"]
    for copy in count(1):
        for record in slabs:
            if number <= 0:
                return
            number -= 1
            positions = record.positions + rng.normal(0.0, SIGMA, record.positions.shape)
            yield dataclasses.replace(record, structure_id=f"{record.structure_id}-r{copy}", positions=positions)


def chgnet() -> dict[str, Any]:
    """Return CHGNet 0.3.0 as ``job.json`` wants it."""
    known = registry.load_known("chgnet-0.3.0")
    files = registry.find_wheel_files(known)
    if files is None:
        sys.exit("chgnet is not installed: install the extra `chgnet`.")
    return _description("chgnet", known.name, files)


def m3gnet(folder: Path) -> dict[str, Any]:
    """Return an M3GNet of a folder as ``job.json`` wants it."""
    return _description("m3gnet", folder.name, registry.match_files("m3gnet", [folder]))


def _description(family: str, name: str, files: dict[str, Path]) -> dict[str, Any]:
    entries = {logical: {"path": str(path.resolve()), "sha256": None} for logical, path in files.items()}
    return {"family": family, "name": name, "elements": None, "config": {}, "files": entries, "trusted": []}


def run_runner(folder: Path, records: list[StructureRecord], potential: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """Start the runner in a folder as a job does; return wall time in s and its results."""
    folder.mkdir()
    (folder / contract.RUNNER_FILE).write_bytes(build_runner())
    with (folder / contract.STRUCTURES_FILE).open("w") as stream:
        write_structures(stream, records)
    job = {
        "schema_version": contract.SCHEMA_VERSION,
        "command": contract.PREDICT,
        "structures": contract.STRUCTURES_FILE,
        "n_structures": len(records),
        "potential": potential,
        "options": contract.DEFAULT_OPTIONS,
        "execution": contract.DEFAULT_EXECUTION,
        "environment": None,
    }
    (folder / contract.JOB_FILE).write_text(json.dumps(job))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    command = [sys.executable, contract.RUNNER_FILE, contract.PREDICT, contract.JOB_FILE]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    seconds = time.perf_counter() - start
    results = json.loads((folder / contract.RESULTS_FILE).read_text())
    return seconds, results
