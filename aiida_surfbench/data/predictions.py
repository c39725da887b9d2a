"""What a potential predicted for a set of structures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from aiida.orm import Data

from ..runner.contract import OK
from .table import read_rows, write_table

ARRAYS_FOLDER = "arrays"


class PredictionsData(Data):
    """Predictions, one row per structure, joined by ``structure_id``.

    Rows hold ``structure_id``, ``status`` (``ok`` or ``failed``), ``reason``, ``n_atoms`` and ``energy`` (eV, total;
    null if failed). Forces (eV/Å) and stresses (eV/Å³, ASE's Voigt order) lie in npz files as the runner wrote them.
    Attributes: ``n_structures``, ``n_ok``, ``n_failed``, ``properties``, ``algorithm_version``, ``dtype``, ``device``,
    ``environment`` (versions of the packages the numbers rest on), ``weights``, ``timings``.
    """

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]],
        arrays: Iterable[Path] = (),
        attributes: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Build the node.

        :param rows: one per structure.
        :param arrays: npz files of the runner (``structure_id``, ``n_atoms``, ``forces``, ``stress``).
        :param attributes: what the runner says of the run.
        """
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        rows = list(rows)
        write_table(self, rows)
        for path in arrays:
            self.base.repository.put_object_from_file(str(path), f"{ARRAYS_FOLDER}/{Path(path).name}")
        n_ok = sum(row["status"] == OK for row in rows)
        self.base.attributes.set_many(
            {**(attributes or {}), "n_structures": len(rows), "n_ok": n_ok, "n_failed": len(rows) - n_ok}
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return one dict per structure: ``structure_id``, ``status``, ``reason``, ``n_atoms``, ``energy`` (eV)."""
        return read_rows(self)

    def results(self) -> dict[str, dict[str, Any]]:
        """Return the rows by ``structure_id``."""
        return {row["structure_id"]: row for row in self.rows()}

    @property
    def n_ok(self) -> int:
        """Number of structures with an energy."""
        return int(self.base.attributes.get("n_ok"))

    @property
    def n_failed(self) -> int:
        """Number of structures without one."""
        return int(self.base.attributes.get("n_failed"))

    def get_arrays(self, name: str) -> dict[str, npt.NDArray[np.float64]]:
        """Return an array per structure id.

        :param name: ``forces``, each (n_atoms, 3) in eV/Å, or ``stress``, each (6,) in eV/Å³.
        :raises KeyError: if the predictions do not have it.
        """
        if name not in self.base.attributes.get("properties", []) or name == "energy":
            raise KeyError(f"these predictions have no {name}")
        arrays: dict[str, npt.NDArray[np.float64]] = {}
        if ARRAYS_FOLDER not in self.base.repository.list_object_names():
            return arrays
        for part in sorted(self.base.repository.list_object_names(ARRAYS_FOLDER)):
            with self.base.repository.open(f"{ARRAYS_FOLDER}/{part}", "rb") as handle:
                arrays.update(_read_part(handle, name))
        return arrays


def _read_part(handle: IO[Any], name: str) -> dict[str, npt.NDArray[np.float64]]:
    with np.load(handle) as data:
        ids = [str(structure_id) for structure_id in data["structure_id"]]
        if not ids:
            return {}
        # Forces of all structures lie one after the other
        pieces = np.split(data["forces"], np.cumsum(data["n_atoms"])[:-1]) if name == "forces" else list(data[name])
        return dict(zip(ids, pieces, strict=True))
