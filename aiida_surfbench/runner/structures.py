"""Reading the structures file frame by frame, with every fault turned into a sentence that names the frame.

Frames are cut by their line counts here and parsed by ASE one at a time. ASE's own iterator stops silently at a blank
line, reports a truncated last frame without saying which, and keeps an index that grows with the file.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import ase.io
from ase import Atoms
from ase.io.extxyz import key_val_str_to_dict

from .contract import STRUCTURES_UNREADABLE, JobError

_ID = "structure_id"


def _refuse(sentence: str) -> JobError:
    return JobError(STRUCTURES_UNREADABLE, sentence)


def _frames(handle: TextIO, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (frame number from 1, its lines with the count and the comment)."""
    for frame in itertools.count(1):
        line = handle.readline()
        if not line.strip():
            if any(rest.strip() for rest in handle):
                raise _refuse(f"{name}: there is a blank line before frame {frame}; remove it.")
            return
        try:
            n_atoms = int(line)
        except ValueError:
            n_atoms = -1
        if n_atoms < 0:
            raise _refuse(f"{name}: frame {frame} must begin with its number of atoms; got {line.strip()[:60]!r}.")
        lines = [line] + [handle.readline() for _ in range(n_atoms + 1)]
        if not lines[-1].strip() and n_atoms > 0:
            found = sum(1 for item in lines[2:] if item.strip())
            raise _refuse(f"{name}: frame {frame} is truncated: it announces {n_atoms} atoms and has {found}.")
        yield frame, lines


def _id_of(comment: str, frame: int, name: str) -> str:
    """Return the id as ASE reads it; refuse what ASE would turn into something else than text."""
    try:
        info: dict[str, Any] = key_val_str_to_dict(comment)  # type: ignore[no-untyped-call]
    except Exception as error:  # ASE raises ValueError, KeyError and others; the reason is kept
        raise _refuse(f"{name}: the comment line of frame {frame} cannot be read ({error}).") from error
    if _ID not in info:
        raise _refuse(f"{name}: frame {frame} has no {_ID}; give every frame a unique one in its comment line.")
    value = info[_ID]
    if not isinstance(value, str) or not value:
        raise _refuse(
            f"{name}: the {_ID} of frame {frame} is read as {value!r} instead of as text; put a letter in front."
        )
    return value


def scan(path: Path) -> int:
    """Return the number of frames, after checking that all are complete and have unique textual ids.

    This costs a fraction of a millisecond per frame and refuses a bad file before any model is loaded.

    :raises JobError: ``structures_unreadable``.
    """
    seen: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8") as handle:
            for frame, lines in _frames(handle, path.name):
                structure_id = _id_of(lines[1], frame, path.name)
                if structure_id in seen:
                    raise _refuse(
                        f"{path.name}: frames {seen[structure_id]} and {frame} have the same {_ID} {structure_id!r}."
                    )
                seen[structure_id] = frame
    except OSError as error:
        raise _refuse(f"The structures file {path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise _refuse(f"{path.name} is no text file: {error}.") from error
    if not seen:
        raise _refuse(f"{path.name} holds no structure.")
    return len(seen)


def read(path: Path) -> Iterator[tuple[str, Atoms]]:
    """Yield (structure_id, structure) one at a time.

    A structure holds numbers, positions (n, 3) in Å, cell (3, 3) in Å and pbc and nothing else: predictions are found
    again by a hash of just these, so charges, magnetic moments and constraints in the file must not change a number.

    :raises JobError: ``structures_unreadable``, naming the frame.
    """
    with path.open(encoding="utf-8") as handle:
        for frame, lines in _frames(handle, path.name):
            structure_id = _id_of(lines[1], frame, path.name)
            if int(lines[0]) == 0:
                yield structure_id, Atoms()
                continue
            try:
                atoms: Any = ase.io.read(io.StringIO("".join(lines)), format="extxyz", index=0)
                bare = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            except Exception as error:  # ASE raises many kinds for unreadable text; the reason is kept
                raise _refuse(
                    f"{path.name}: frame {frame} ({structure_id}) cannot be read ({type(error).__name__}: {error})."
                ) from error
            yield structure_id, bare
