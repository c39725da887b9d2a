"""Select what several potentials all answered, for a fair comparison."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import SinglefileData

from ...data.selection import make_selection
from ...data.surface_energies import SurfaceEnergiesData
from ...science.metrics import common_ids


@calcfunction
def select_common_structures(**surface_energies: SurfaceEnergiesData) -> SinglefileData:
    """Return the selection of slabs for which every input has a surface energy.

    :raises ValueError: if there is none.
    """
    ids = common_ids([node.rows() for node in surface_energies.values()])
    if not ids:
        raise ValueError("there is no slab for which all of them have a surface energy")
    return make_selection(ids)
