"""Select structures of a set by what its table says."""

from __future__ import annotations

from aiida.engine import calcfunction
from aiida.orm import Dict, SinglefileData

from ...data.selection import make_selection
from ...data.structure_set import SurfaceSetData


@calcfunction
def select_structures(structures: SurfaceSetData, criteria: Dict) -> SinglefileData:
    """Return the selection of slabs that fulfil the criteria, with their bulks.

    :param criteria: ``elements`` (what the column ``element`` may be).
    :raises ValueError: if a criterion is unknown or nothing is left.
    """
    wanted = criteria.get_dict()
    unknown = sorted(set(wanted) - {"elements"})
    if unknown:
        raise ValueError(f"unknown criteria {', '.join(unknown)}; known are: elements")
    if "elements" not in wanted:
        raise ValueError("criteria: elements is missing, a list of what the column element may be")
    rows = structures.rows()
    absent = sorted(set(wanted["elements"]) - {row["element"] for row in rows})
    if absent:
        raise ValueError(f"no structure of {', '.join(absent)} in the set")
    slabs = [row for row in rows if row["role"] == "slab" and row["element"] in wanted["elements"]]
    keep = {row["structure_id"] for row in slabs} | {row["bulk_id"] for row in slabs}
    if not keep:
        raise ValueError("no slab fulfils the criteria")
    return make_selection(row["structure_id"] for row in rows if row["structure_id"] in keep)
