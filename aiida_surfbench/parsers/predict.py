"""Parser of PredictCalculation."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from aiida.engine import ExitCode

from ..data.selection import read_selection
from ..data.predictions import PredictionsData
from ..runner import contract
from .runner_results import RunnerParser


class PredictParser(RunnerParser):
    """Merge the runner's parts into one predictions node, joined by ``structure_id``."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Parse parts and results; what was computed is attached also when the job failed."""
        results = self.read_results()
        inputs = self.node.inputs
        expected = read_selection(inputs.selection) if "selection" in inputs else inputs.structures.ids
        try:
            found = self._read_parts()
        except ValueError as exception:
            return self.exit_codes.ERROR_RESULTS_UNREADABLE.format(reason=str(exception))
        strangers = sorted(set(found).difference(expected))
        if strangers:
            reason = f"it holds {strangers[0]!r}, which was not asked for"
            return self.exit_codes.ERROR_RESULTS_UNREADABLE.format(reason=reason)
        rows = [found[structure_id] for structure_id in expected if structure_id in found]
        if rows:
            self._attach(rows, results if isinstance(results, dict) else {})
        if isinstance(results, ExitCode):
            return results
        exit_code = self.exit_code_of(results)
        if exit_code is not None:
            return exit_code
        if len(rows) != len(expected):
            reason = "its own count is {n_structures}".format(**results)
            return self.exit_codes.ERROR_PREDICTIONS_INCOMPLETE.format(
                found=len(rows), expected=len(expected), reason=reason
            )
        if all(row["status"] == contract.FAILED for row in rows):
            return self.exit_codes.ERROR_NO_STRUCTURE_USABLE.format(expected=len(expected), reason=rows[0]["reason"])
        return None

    def _part_names(self, suffix: str) -> list[str]:
        repository = self.retrieved.base.repository
        if contract.PARTS_FOLDER not in repository.list_object_names():
            return []
        names = repository.list_object_names(contract.PARTS_FOLDER)
        return [f"{contract.PARTS_FOLDER}/{name}" for name in sorted(names) if name.endswith(suffix)]

    def _read_parts(self) -> dict[str, dict[str, Any]]:
        """Return all rows by ``structure_id``.

        :raises ValueError: if a part is no JSON, or answers twice for a structure.
        """
        rows: dict[str, dict[str, Any]] = {}
        for path in self._part_names(".jsonl"):
            for number, line in enumerate(self.retrieved.base.repository.get_object_content(path).splitlines(), 1):
                try:
                    row = json.loads(line)
                    structure_id = row["structure_id"]
                except (ValueError, KeyError, TypeError) as exception:
                    raise ValueError(f"{path}, line {number} is no result ({exception})") from None
                if structure_id in rows:
                    raise ValueError(f"{path}, line {number} answers a second time for {structure_id!r}")
                rows[structure_id] = row
        return rows

    def _attach(self, rows: list[dict[str, Any]], results: dict[str, Any]) -> None:
        options = {**contract.DEFAULT_OPTIONS, **self.node.inputs.options.get_dict()}
        names = ("algorithm_version", "dtype", "device", "weights", "timings", "peak_memory_mb")
        attributes = {"properties": options["properties"], **{name: results.get(name) for name in names}}
        with tempfile.TemporaryDirectory() as folder:
            arrays = []
            for path in self._part_names(".npz"):
                target = Path(folder) / Path(path).name
                target.write_bytes(self.retrieved.base.repository.get_object_content(path, mode="rb"))
                arrays.append(target)
            self.out("predictions", PredictionsData(rows, arrays, attributes))
