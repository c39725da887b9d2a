"""A table in a node's repository: columns in one JSON file, so that it is read without parsing coordinates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from aiida.common.exceptions import ModificationNotAllowed
from aiida.orm import Data

TABLE_FILE = "table.json"


def write_table(node: Data, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as a columnar JSON file into a node that is not stored yet; absent values become null.

    :raises ValueError: if a value is NaN or infinite.
    """
    if node.is_stored:
        raise ModificationNotAllowed("the table of a stored node cannot be changed")
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name) for row in rows] for name in names}
    text = json.dumps(columns, allow_nan=False)
    node.base.repository.put_object_from_bytes(text.encode(), TABLE_FILE)


def read_table(node: Data) -> dict[str, list[Any]]:
    """Return the columns of a node's table, by name."""
    columns: dict[str, list[Any]] = json.loads(node.base.repository.get_object_content(TABLE_FILE, "r"))
    return columns


def read_rows(node: Data) -> list[dict[str, Any]]:
    """Return the rows of a node's table."""
    columns = read_table(node)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
