"""From predictions to surface energies, beside the references."""

from __future__ import annotations

from typing import Any

from aiida.engine import calcfunction
from aiida.orm import Int, SinglefileData

from ...data.potential import PotentialData
from ...data.predictions import PredictionsData
from ...data.selection import read_selection
from ...data.structure_set import SurfaceSetData
from ...data.surface_energies import SurfaceEnergiesData
from ...formats.structure_set import BULK
from ...science import surface_energy
from ...science.lattice import lattice_type


@calcfunction
def compute_surface_energies(
    structures: SurfaceSetData,
    predictions: PredictionsData,
    potential: PotentialData,
    algorithm_version: Int,
    selection: SinglefileData | None = None,
) -> SurfaceEnergiesData:
    """Return surface energies by Eq. 1 and their errors.

    :param potential: what made the predictions; only its name is used.
    :param algorithm_version: of :mod:`aiida_surfbench.science.surface_energy`, so that re-use sees a change.
    :param selection: the structures meant; without it all of the set.
    :raises ValueError: if the algorithm version asked for is not the installed one.
    """
    if algorithm_version.value != surface_energy.ALGORITHM_VERSION:
        raise ValueError(
            f"surface energies of algorithm version {algorithm_version.value} asked for, "
            f"{surface_energy.ALGORITHM_VERSION} is installed"
        )
    rows = structures.rows()
    if selection is not None:
        keep = set(read_selection(selection))
        rows = [row for row in rows if row["structure_id"] in keep]
    lattices = _lattices(structures, rows)
    rows = [{**row, "lattice": lattices.get(row["structure_id"])} for row in rows]
    results = surface_energy.compute_surface_energies(rows, predictions.results())
    return SurfaceEnergiesData(results, potential=potential.name)


def _lattices(structures: SurfaceSetData, rows: list[dict[str, Any]]) -> dict[str, str]:
    bulks = [row["structure_id"] for row in rows if row["role"] == BULK]
    return {
        record.structure_id: lattice_type(record.numbers, record.cell, record.positions)
        for record in structures.iter_structures(bulks)
    }
