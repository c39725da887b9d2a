"""Selections: a node holding a file of structure ids, one a line. Chunks, masks and exclusions are the same type."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiida.orm import SinglefileData

SELECTION_FILE = "structure_ids.txt"


def make_selection(ids: Iterable[str]) -> SinglefileData:
    """Return a selection of the given ids (not stored); ``n_structures`` is an attribute."""
    names = list(ids)
    node = SinglefileData(io.BytesIO("".join(f"{name}\n" for name in names).encode()), filename=SELECTION_FILE)
    node.base.attributes.set("n_structures", len(names))
    return node


def read_selection(node: SinglefileData) -> list[str]:
    """Return the ids of a selection, in order."""
    return str(node.get_content(mode="r")).split()


def check_selection(ids: Sequence[str], known: Iterable[str]) -> str | None:
    """Return what is wrong with a selection from a set with the ids ``known``, or ``None``."""
    if not ids:
        return "selection: it names no structure."
    unknown = sorted(set(ids).difference(known))
    if unknown:
        return f"selection: {unknown[0]!r} is no structure_id of the structure set."
    if len(set(ids)) != len(ids):
        again = next(name for name in ids if ids.count(name) > 1)
        return f"selection: {again!r} is named twice."
    return None


def check_surface_selection(ids: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str | None:
    """Return what is wrong with a selection for surface energies: it has slabs, and with each slab its bulk.

    :param rows: of the surface set.
    """
    rows = list(rows)
    problem = check_selection(ids, [row["structure_id"] for row in rows])
    if problem:
        return problem
    wanted = set(ids)
    slabs = [row for row in rows if row["role"] == "slab" and row["structure_id"] in wanted]
    if not slabs:
        return "selection: it names no slab."
    for row in slabs:
        if row["bulk_id"] not in wanted:
            return f"selection: it names the slab {row['structure_id']!r} without its bulk {row['bulk_id']!r}."
    return None
