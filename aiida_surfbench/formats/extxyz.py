"""Reading and writing the structure-set file (extended XYZ).

Reading is ASE's. Writing is our own: ASE writes eight decimals, and a structure's hash must survive the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.io.extxyz import key_val_str_to_dict, per_config_properties, read_xyz
from ase.stress import voigt_6_to_full_3x3_stress

from .structure_set import (
    COMPUTED_COLUMNS,
    KNOWN_COLUMNS,
    Scalar,
    StructureRecord,
    StructureSetError,
    check_geometry,
    check_structure_id,
    describe_frame,
    reduce_miller_index,
)

_MATRIX_KEYS = ("stress", "virial")  # ASE reads these as 3 × 3 matrices whatever they are
# ASE takes the next pair for the value of such a column
_EMPTY_VALUE = re.compile(r"""(?:^|\s)([^\s="']+)=(?:""|''|\[\s*\]|\{\s*\})(?=\s|$)""")
_KEY_PATTERN = re.compile(r"[^\s=\"'{}\[\](),\\]+")


def read_structures(path: str | Path) -> Iterator[StructureRecord]:
    """Yield the structures of a structure-set file one by one, each checked.

    :raises StructureSetError: if the file or a frame is not valid; the message names the frame and the field.
    """
    path = Path(path)
    if not path.is_file():
        raise StructureSetError(f"{path} is not a file.")
    seen: dict[str, int] = {}
    frame = -1
    with path.open(encoding="utf-8") as stream:
        try:
            for frame, text in enumerate(iter_frames(stream)):
                record = _read_frame(text, frame)
                if record.structure_id in seen:
                    raise StructureSetError(
                        f"{describe_frame(frame)}: structure_id {record.structure_id!r} was used by frame "
                        f"{seen[record.structure_id]} already; ids must be unique."
                    )
                seen[record.structure_id] = frame
                yield record
        except UnicodeDecodeError:
            raise StructureSetError(f"{path}, {describe_frame(frame + 1)}: the file is no text (UTF-8).") from None
        except StructureSetError as exception:
            raise StructureSetError(f"{path}, {exception}") from None
    if frame < 0:
        raise StructureSetError(f"{path} is empty: a structure-set file has at least one frame.")


def _read_frame(text: str, frame: int) -> StructureRecord:
    """Return the record of one frame's text; messages name the frame."""
    empty = _EMPTY_VALUE.search(text.splitlines()[1])
    if empty:
        raise StructureSetError(f"{describe_frame(frame)}: {empty[1]}: has an empty value; leave the column out.")
    try:
        atoms = next(read_xyz(StringIO(text), index=slice(None)))
    except Exception as exception:  # ASE raises many kinds for a broken frame: all mean the same to a user
        if isinstance(exception, KeyError) and isinstance(exception.args[0], str):
            reason = f"species: {exception.args[0]!r} is no chemical element"
        else:
            reason = f"cannot be read as extended XYZ ({type(exception).__name__}: {' '.join(str(exception).split())})"
        raise StructureSetError(f"{describe_frame(frame)}: {reason}.") from exception
    try:
        return record_from_atoms(atoms)
    except StructureSetError as exception:
        raise StructureSetError(f"{describe_frame(frame, atoms.info.get('structure_id'))}: {exception}.") from None


def record_from_atoms(atoms: Atoms, **columns: Any) -> StructureRecord:
    """Return the record of an ASE structure; its ``info`` holds the columns, ``columns`` override them.

    :raises StructureSetError: naming the field.
    """
    info = {**atoms.info, **columns}
    if atoms.calc is not None:  # ASE moves keys such as `energy` from the comment line into a calculator
        info = {**{k: v for k, v in atoms.calc.results.items() if k in per_config_properties}, **info}
        stress = info.get("stress")
        if isinstance(stress, np.ndarray) and stress.shape == (6,):  # and makes six numbers of the nine of `stress`
            info["stress"] = voigt_6_to_full_3x3_stress(stress)  # type: ignore[no-untyped-call]
    info = {key: value.item() if isinstance(value, np.generic) else value for key, value in info.items()}
    structure_id = info.get("structure_id")
    problem = check_structure_id(structure_id)
    if problem:
        raise StructureSetError(f"structure_id {problem}")
    record = StructureRecord(
        structure_id=str(structure_id),
        numbers=np.asarray(atoms.numbers, dtype=np.int64),
        positions=np.asarray(atoms.positions, dtype=np.float64),
        cell=np.asarray(atoms.cell.array, dtype=np.float64),
        pbc=(bool(atoms.pbc[0]), bool(atoms.pbc[1]), bool(atoms.pbc[2])),
        role=_text(info, "role"),
        bulk_id=_id(info, "bulk_id"),
        miller_index=_miller_index(info),
        dft_energy=_number(info, "dft_energy"),
        dft_surface_energy=_number(info, "dft_surface_energy"),
        extra={key: _column(key, value) for key, value in info.items() if key not in KNOWN_COLUMNS},
    )
    problem = check_geometry(record)
    if problem:
        raise StructureSetError(problem)
    check_round_trip(record)
    return record


def atoms_from_record(record: StructureRecord) -> Atoms:
    """Return a record as an ASE structure, its columns in ``info``."""
    atoms = Atoms(numbers=record.numbers, positions=record.positions, cell=record.cell, pbc=record.pbc)
    atoms.info.update({key: value for key, value in _columns(record).items() if value is not None})
    return atoms


def format_structure(record: StructureRecord) -> str:
    """Return the frame of a record as text; numbers keep every digit."""
    lines = [str(record.n_atoms), _comment(record)]
    for number, position in zip(record.numbers, record.positions, strict=True):
        x, y, z = (repr(float(value)) for value in position)
        lines.append(f"{chemical_symbols[int(number)]} {x} {y} {z}")
    return "\n".join(lines) + "\n"


def iter_frames(stream: IO[str]) -> Iterator[str]:
    """Yield the frames of an extended XYZ stream as text, without reading a number but the count of atoms.

    Blank lines between frames are passed over.

    :raises StructureSetError: if a frame does not begin with its number of atoms, or the stream ends within one. A last
        line without a line end counts as that: nothing else tells a coordinate that was cut off.
    """
    frame = 0
    while line := stream.readline():
        if not line.strip():
            continue
        if not line.strip().isdecimal():
            raise StructureSetError(
                f"{describe_frame(frame)}: must begin with its number of atoms; got {line.strip()[:40]!r}."
            )
        count = int(line)
        lines = [line, *(stream.readline() for _ in range(count + 1))]
        if not lines[-1].endswith("\n"):
            complete = sum(text.endswith("\n") for text in lines)
            missing = "the comment line" if complete < 2 else f"atom {complete - 2} of {count} (counted from 0)"
            raise StructureSetError(
                f"{describe_frame(frame)}: the file ends within {missing}, it is truncated "
                "(if it is complete, add a line end)."
            )
        yield "".join(lines)
        frame += 1


def write_structures(stream: IO[str], records: Iterable[StructureRecord]) -> int:
    """Write records as a structure-set file and return their number."""
    count = 0
    for record in records:
        stream.write(format_structure(record))
        count += 1
    return count


def _columns(record: StructureRecord) -> dict[str, Any]:
    return {**{name: getattr(record, name) for name in KNOWN_COLUMNS}, **record.extra}


def _comment(record: StructureRecord) -> str:
    lattice = " ".join(repr(float(value)) for value in record.cell.ravel())
    parts = [f'Lattice="{lattice}"', "Properties=species:S:1:pos:R:3"]
    for key, value in _columns(record).items():
        if value is not None:
            parts.append(f"{key}={_format_value(value)}")
    parts.append('pbc="{}"'.format(" ".join("T" if flag else "F" for flag in record.pbc)))
    return " ".join(parts)


def _format_value(value: Any) -> str:
    if value is None:  # within a list
        return "nan"
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, (list, tuple)):
        return '"{}"'.format(" ".join(_format_value(item) for item in value))
    if isinstance(value, float):
        return repr(float(value))
    text = str(value)
    return text if text.replace("-", "").replace("_", "").replace(".", "").isalnum() else f'"{text}"'


def check_round_trip(record: StructureRecord) -> None:
    """Refuse columns that extended XYZ cannot carry unchanged.

    :raises StructureSetError: naming the column.
    """
    for key, value in record.extra.items():
        _column(key, value)
    for key, value in _columns(record).items():
        if isinstance(value, str):
            problem = _check_text(key, value)
        elif isinstance(value, list):
            found = _read_back(key, value)
            same = isinstance(found, (np.ndarray, list)) and repr(_column(key, found)) == repr(value)
            problem = None if same else f"{key}: the list {value!r} would be read back as {found!r} from extended XYZ"
        else:
            continue
        if problem:
            raise StructureSetError(problem)


@lru_cache(maxsize=1024)
def _check_text(key: str, value: str) -> str | None:
    found = _read_back(key, value)
    if isinstance(found, str) and found == value and len(value.splitlines()) == 1:
        return None
    return (
        f"{key}: the text {value!r} would be read back as {found!r} from extended XYZ; "
        "use letters, digits and _.-, beginning with a letter"
    )


def _read_back(key: str, value: Any) -> Any:
    """Return what ASE makes of a column; ``None`` if it does not find it."""
    if value in ("", []):
        return None
    found = key_val_str_to_dict(f"{key}={_format_value(value)} pbc=T").get(key)  # type: ignore[no-untyped-call]
    return found.item() if isinstance(found, np.generic) else found


def _text(info: Mapping[str, Any], key: str) -> str | None:
    value = info.get(key)
    if value is not None and not isinstance(value, str):
        raise StructureSetError(f"{key} must be text; got {value!r}")
    return value


def _id(info: Mapping[str, Any], key: str) -> str | None:
    value = info.get(key)
    problem = None if value is None else check_structure_id(value)
    if problem:
        raise StructureSetError(f"{key} {problem}")
    return value


def _number(info: Mapping[str, Any], key: str) -> float | None:
    value = info.get(key)
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise StructureSetError(f"{key} must be a number; got {value!r}")
    return float(value)


def _miller_index(info: Mapping[str, Any]) -> tuple[int, int, int] | None:
    value = info.get("miller_index")
    if value is None:
        return None
    values = np.asarray(value)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise StructureSetError(
            f'miller_index must be three whole numbers, as in miller_index="1 1 0" (hkil: "1 0 -1 0"); got {value!r}'
        )
    try:
        return reduce_miller_index(values.tolist())
    except ValueError as exception:
        raise StructureSetError(f"miller_index: {exception}") from None


def _column(key: str, value: Any) -> Any:
    """Return a further column's value as JSON can hold it; a number that is none becomes null."""
    if key in COMPUTED_COLUMNS:
        raise StructureSetError(f"{key}: this column is computed from the structure; rename yours")
    if not _KEY_PATTERN.fullmatch(key):
        raise StructureSetError(f"{key!r}: a column's name has no blanks, quotes, brackets, commas or =")
    if isinstance(value, np.ndarray):  # ASE reads nine numbers as a 3 × 3 matrix in Fortran order
        value = value.flatten(order="F").tolist()
    if key in _MATRIX_KEYS and np.shape(value) != (9,):
        raise StructureSetError(
            f"{key}: extended XYZ takes this column for a 3 × 3 matrix; rename it or give nine numbers"
        )
    if isinstance(value, (list, tuple)):
        return [_scalar(key, item) for item in value]
    return _scalar(key, value)


def _scalar(key: str, value: Any) -> Scalar:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    raise StructureSetError(f"{key}: a {type(value).__name__} is no column; use text or numbers")
