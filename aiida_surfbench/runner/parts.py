"""Writing predictions in parts, so that memory does not grow with the job and a killed job leaves what it has."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Union

import numpy as np

from . import contract
from .files import write_bytes, write_json

#: A part is written at this many structures or after this many seconds, whichever comes first.
PART_STRUCTURES = 1000
PART_SECONDS = 20.0
HEARTBEAT_SECONDS = 0.5
#: The answer for one structure: the model's result, or the reason why there is none.
Outcome = Union[dict[str, Any], str]
_PART_NAME = re.compile(r"\d{6}\.(jsonl|npz)(\.tmp)?")


def remove_outputs(folder: Path) -> None:
    """Remove what an earlier run left in the job folder; other files are not touched."""
    for name in (contract.RESULTS_FILE, contract.HEARTBEAT_FILE):
        path = folder / name
        if path.is_file():
            path.unlink()
    parts = folder / contract.PARTS_FOLDER
    if parts.is_dir():
        for path in parts.iterdir():
            if _PART_NAME.fullmatch(path.name):
                path.unlink()


class PartsWriter:
    """Collects records and writes ``parts/NNNNNN.jsonl`` (and ``.npz`` where arrays were asked for).

    The ``.npz`` of a part is renamed into place before its ``.jsonl``: where the latter exists, the part is complete.

    :param folder: the job folder.
    :param arrays: which of ``forces`` and ``stress`` go to the ``.npz``.
    :param total: number of structures of the job.
    """

    def __init__(self, folder: Path, arrays: Sequence[str], total: int) -> None:
        self._folder = folder
        self._parts = folder / contract.PARTS_FOLDER
        self._arrays = list(arrays)
        self._total = total
        self._index = 0
        self._records: list[dict[str, Any]] = []
        self._results: list[dict[str, Any]] = []
        self._since = time.monotonic()
        self._last_beat = float("-inf")
        self.n_ok = 0
        self.n_failed = 0
        self._parts.mkdir(exist_ok=True)
        self.beat(force=True)

    def add(self, structure_id: str, n_atoms: int, outcome: Outcome) -> None:
        """Record one structure: its result, or the reason why it has none."""
        failed = isinstance(outcome, str)
        record = {
            "structure_id": structure_id,
            "status": contract.FAILED if failed else contract.OK,
            "reason": outcome if failed else None,
            "n_atoms": n_atoms,
            "energy": None if isinstance(outcome, str) else float(outcome["energy"]),
        }
        self._records.append(record)
        self.n_ok += not failed
        self.n_failed += failed
        if self._arrays and not isinstance(outcome, str):
            self._results.append(outcome)

    def after_batch(self) -> None:
        """Write a part if it is due, and the heartbeat."""
        due = time.monotonic() - self._since >= PART_SECONDS
        if len(self._records) >= PART_STRUCTURES or due:
            self.write_part()
        self.beat()

    def write_part(self) -> None:
        """Write what has been collected, if anything."""
        if self._records:
            name = f"{self._index:06d}"
            if self._arrays:
                write_bytes(self._parts / f"{name}.npz", self._npz())
            lines = (json.dumps(record, allow_nan=False) + "\n" for record in self._records)
            write_bytes(self._parts / f"{name}.jsonl", "".join(lines).encode())
            self._index += 1
            self._records, self._results = [], []
        self._since = time.monotonic()

    def _npz(self) -> bytes:
        """Of the ok ones: ``structure_id``, ``n_atoms`` (k,), ``forces`` (sum of n_atoms, 3), ``stress`` (k, 6)."""
        ok = [record for record in self._records if record["status"] == contract.OK]
        content: dict[str, Any] = {
            "structure_id": np.array([record["structure_id"] for record in ok], dtype=np.str_),
            "n_atoms": np.array([record["n_atoms"] for record in ok], dtype=np.int64),
        }
        shapes = {"forces": (-1, 3), "stress": (-1, 6)}
        for name in self._arrays:
            flat = [np.asarray(result[name], dtype=np.float64).ravel() for result in self._results]
            content[name] = np.concatenate(flat or [np.empty(0)]).reshape(shapes[name])
        buffer = io.BytesIO()
        np.savez(buffer, **content)
        return buffer.getvalue()

    def beat(self, *, force: bool = False) -> None:
        """Write the heartbeat, not more often than every half second unless forced."""
        now = time.monotonic()
        if force or now - self._last_beat >= HEARTBEAT_SECONDS:
            done = self.n_ok + self.n_failed
            beat = {"done": done, "total": self._total, "time": time.time(), "n_failed": self.n_failed}
            write_json(self._folder / contract.HEARTBEAT_FILE, beat)
            self._last_beat = now
