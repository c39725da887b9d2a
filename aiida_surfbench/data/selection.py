"""Selections: a node holding a file of structure ids, one a line. Chunks, masks and exclusions are the same type."""

from __future__ import annotations

import io
from collections.abc import Iterable

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
