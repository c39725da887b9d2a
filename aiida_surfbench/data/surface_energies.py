"""Surface energies of a potential on a surface set, beside the references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiida.orm import Data

from ..runner.contract import OK
from .table import read_rows, write_table


class SurfaceEnergiesData(Data):
    """One row per structure of a surface set: energies per atom, surface energies and their errors.

    The columns are those of :func:`aiida_surfbench.science.surface_energy.compute_surface_energies`; energies per atom
    in eV, surface energies in J/m², errors ML − DFT. Attributes: ``n_bulks``, ``n_slabs``, ``n_failed`` (slabs without
    a surface energy), ``potential`` (its name).
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]], potential: str, **kwargs: Any) -> None:
        """Build the node from its rows and the potential's name."""
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        rows = list(rows)
        write_table(self, rows)
        slabs = [row for row in rows if row["role"] == "slab"]
        self.base.attributes.set_many(
            {
                "potential": potential,
                "n_slabs": len(slabs),
                "n_bulks": len(rows) - len(slabs),
                "n_failed": sum(row["status"] != OK for row in slabs),
            }
        )

    @property
    def potential(self) -> str:
        """The potential's name."""
        return str(self.base.attributes.get("potential"))

    def rows(self) -> list[dict[str, Any]]:
        """Return one dict per structure."""
        return read_rows(self)
