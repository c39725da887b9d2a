"""From surface energies to the error table."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict, SinglefileData

from ...data.selection import read_selection
from ...data.surface_energies import SurfaceEnergiesData
from ...science import metrics


@calcfunction
def compute_metrics(
    surface_energies: SurfaceEnergiesData, settings: Dict, selection: SinglefileData | None = None
) -> Dict:
    """Return errors overall, by element, by Miller index and by lattice, with 95 % intervals.

    :param settings: ``n_resamples`` and ``seed`` of the bootstrap, ``algorithm_version`` of
        :mod:`aiida_surfbench.science.metrics`.
    :param selection: restricts to these structures.
    :raises ValueError: if the algorithm version asked for is not the installed one.
    """
    wanted = settings.get_dict()
    version = wanted.pop("algorithm_version", metrics.ALGORITHM_VERSION)
    if version != metrics.ALGORITHM_VERSION:
        raise ValueError(f"metrics of algorithm version {version} asked for, {metrics.ALGORITHM_VERSION} is installed")
    ids = None if selection is None else set(read_selection(selection))
    result = metrics.compute_metrics(surface_energies.rows(), ids=ids, **wanted)
    return Dict({"potential": surface_energies.potential, **result})
