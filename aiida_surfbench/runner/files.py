"""Writing so that a reader never sees half a file."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` beside ``path`` and rename it into place."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write ``document`` as JSON, atomically; NaN and infinity raise :class:`ValueError`."""
    write_bytes(path, (json.dumps(document, allow_nan=False, indent=1) + "\n").encode())


def sha256_of(path: Path) -> str:
    """Return the sha256 of the file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
