"""Parser of PredictCalculation."""

from __future__ import annotations

import json
import math
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from aiida.engine import ExitCode

from ..data.predictions import PredictionsData
from ..data.selection import read_selection
from ..runner import contract
from .runner_results import RunnerParser


class PartError(ValueError):
    """A part cannot be used; the message says which and why."""


class PredictParser(RunnerParser):
    """Merge the runner's parts into one predictions node, joined by ``structure_id``."""

    def parse(self, **kwargs: Any) -> Any:
        """Parse parts and results; what was computed is attached also when the job failed."""
        results = self.read_results()
        inputs = self.node.inputs
        expected = read_selection(inputs.selection) if "selection" in inputs else inputs.structures.ids
        options = {**contract.DEFAULT_OPTIONS, **inputs.options.get_dict()}
        with tempfile.TemporaryDirectory() as folder:
            found, arrays, problem = self._read_parts(set(expected), options["properties"], Path(folder))
            rows = [found[structure_id] for structure_id in expected if structure_id in found]
            if rows:
                names = ("algorithm_version", "dtype", "device", "environment", "weights", "timings", "peak_memory_mb")
                said = results if isinstance(results, dict) else {}
                attributes = {"properties": options["properties"], **{name: said.get(name) for name in names}}
                self.out("predictions", PredictionsData(rows, arrays, attributes))
        return self.found_by_scheduler() or self._judge(results, rows, len(expected), problem)

    def _judge(self, results: Any, rows: list[dict[str, Any]], n_expected: int, problem: str | None) -> Any:
        """Return the exit code, ``None`` if all is well."""
        if isinstance(results, ExitCode):
            return results
        exit_code = self.exit_code_of(results)
        if exit_code is not None:
            return exit_code
        if problem is not None:
            return self.unreadable(problem)
        if len(rows) != n_expected:
            reason = f"its own count is {results.get('n_structures')}"
            return self.exit_codes.ERROR_PREDICTIONS_INCOMPLETE.format(
                found=len(rows), expected=n_expected, reason=reason
            )
        if all(row["status"] == contract.FAILED for row in rows):
            return self.exit_codes.ERROR_NO_STRUCTURE_USABLE.format(expected=n_expected, reason=rows[0]["reason"])
        return None

    def _read_parts(
        self, expected: set[str], properties: list[str], folder: Path
    ) -> tuple[dict[str, dict[str, Any]], list[Path], str | None]:
        """Return all rows by ``structure_id``, the npz files (copied to ``folder``) and the first problem.

        A part with a problem is left out as a whole. An npz without its jsonl is of a part that was not finished.
        """
        rows: dict[str, dict[str, Any]] = {}
        arrays: list[Path] = []
        problem: str | None = None
        repository = self.retrieved.base.repository
        names = []
        if contract.PARTS_FOLDER in repository.list_object_names():
            names = sorted(repository.list_object_names(contract.PARTS_FOLDER))
        for name in names:
            if not name.endswith(".jsonl"):
                continue
            try:
                part = _rows_of(name, repository.get_object_content(f"{contract.PARTS_FOLDER}/{name}", "rb"))
                _check_ids(name, part, expected, rows)
                if len(properties) > 1:
                    npz = f"{Path(name).stem}.npz"
                    if npz not in names:
                        raise PartError(f"{npz} is missing")
                    target = folder / npz
                    target.write_bytes(repository.get_object_content(f"{contract.PARTS_FOLDER}/{npz}", "rb"))
                    _check_arrays(target, part, properties)
                    arrays.append(target)
            except PartError as exception:
                problem = problem or f"{contract.PARTS_FOLDER}/{exception}"
            else:
                rows.update(part)
        return rows, arrays, problem


def _rows_of(name: str, content: bytes) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line:
            continue
        try:
            row = json.loads(line)
        except ValueError as exception:
            raise PartError(f"{name}, line {number} is no result ({exception})") from None
        if not _is_result(row):
            raise PartError(f"{name}, line {number} is no result")
        if row["structure_id"] in rows:
            raise PartError(f"{name}, line {number} answers a second time for {row['structure_id']!r}")
        rows[row["structure_id"]] = row
    return rows


def _is_result(row: Any) -> bool:
    """Return whether this is what the runner says of one structure."""
    if not isinstance(row, dict) or not isinstance(row.get("structure_id"), str):
        return False
    if row.get("status") == contract.FAILED:
        return isinstance(row.get("reason"), str) and row.get("energy") is None
    energy = row.get("energy")
    return row.get("status") == contract.OK and isinstance(energy, float) and math.isfinite(energy)


def _check_ids(name: str, part: dict[str, Any], expected: set[str], known: dict[str, Any]) -> None:
    strangers = sorted(set(part) - expected)
    if strangers:
        raise PartError(f"{name} holds {strangers[0]!r}, which was not asked for")
    again = sorted(set(part) & set(known))
    if again:
        raise PartError(f"{name} answers a second time for {again[0]!r}")


def _check_arrays(path: Path, part: dict[str, dict[str, Any]], properties: list[str]) -> None:
    """Refuse arrays that are damaged or are not of the part's structures."""
    wanted = [structure_id for structure_id, row in part.items() if row["status"] == contract.OK]
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        with np.load(path) as data:
            missing = [name for name in properties if name != "energy" and name not in data]
            found = [str(structure_id) for structure_id in data["structure_id"]]
    except (zipfile.BadZipFile, KeyError, OSError, ValueError) as exception:
        raise PartError(f"{path.name} cannot be read ({exception})") from None
    if damaged is not None or missing:
        raise PartError(f"{path.name} has no sound {damaged or missing[0]}")
    if found != wanted:
        raise PartError(f"{path.name} is of other structures than its jsonl")
