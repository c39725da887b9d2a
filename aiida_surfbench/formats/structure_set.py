"""One structure of a structure set, and what makes a structure set valid.

The structure-set format is extended XYZ with fixed columns in the comment line (see :mod:`.extxyz` for reading and
writing). This module knows what the columns mean; every refusal names the frame and the field.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from ase.data import chemical_symbols
from ase.formula import Formula

BULK = "bulk"
SLAB = "slab"
ROLES = (BULK, SLAB)

#: Columns with a meaning; anything else in a comment line is kept as a further column.
KNOWN_COLUMNS = ("structure_id", "role", "bulk_id", "miller_index", "dft_energy", "dft_surface_energy")
#: Columns computed from the structure; a file may not bring its own.
COMPUTED_COLUMNS = ("element", "n_atoms", "area_a2", "sha256", "shard")

_ID_PATTERN = re.compile(r"[A-Za-z0-9_.:+@/()\[\],#-]{1,200}")

Scalar = str | int | float | bool | None
FloatArray = npt.NDArray[np.float64]


class StructureSetError(ValueError):
    """A structure set is not valid; the message names the frame and the field."""


@dataclass(frozen=True, eq=False)
class StructureRecord:
    """One structure with its labels and references.

    :param structure_id: unique text.
    :param numbers: atomic numbers, shape (n,).
    :param positions: Cartesian positions in Å, shape (n, 3).
    :param cell: cell vectors as rows in Å, shape (3, 3).
    :param pbc: periodicity along each cell vector.
    :param role: ``bulk``, ``slab`` or ``None``.
    :param bulk_id: of a slab, the ``structure_id`` of its bulk.
    :param miller_index: of a slab, (h, k, l).
    :param dft_energy: total energy in eV.
    :param dft_surface_energy: in J/m².
    :param extra: further columns.
    """

    structure_id: str
    numbers: npt.NDArray[np.int64]
    positions: FloatArray
    cell: FloatArray
    pbc: tuple[bool, bool, bool] = (True, True, True)
    role: str | None = None
    bulk_id: str | None = None
    miller_index: tuple[int, int, int] | None = None
    dft_energy: float | None = None
    dft_surface_energy: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.numbers)

    @property
    def element(self) -> str:
        """The reduced formula; of an element its symbol."""
        kinds = np.unique(self.numbers)
        if len(kinds) == 1:
            return chemical_symbols[int(kinds[0])]
        counts = {chemical_symbols[int(z)]: int((self.numbers == z).sum()) for z in kinds}
        return str(Formula.from_dict(counts).reduce()[0].format("metal"))

    @property
    def area_a2(self) -> float:
        """|a × b| in Å²."""
        return float(np.linalg.norm(np.cross(self.cell[0], self.cell[1])))

    @property
    def sha256(self) -> str:
        """Hash of the structure's content: see :func:`structure_sha256`."""
        return structure_sha256(self.numbers, self.pbc, self.cell, self.positions)

    def row(self) -> dict[str, Any]:
        """The structure's row in the table of its set: all columns, no coordinates."""
        return {
            "structure_id": self.structure_id,
            "role": self.role,
            "bulk_id": self.bulk_id,
            "miller_index": None if self.miller_index is None else list(self.miller_index),
            "element": self.element,
            "n_atoms": self.n_atoms,
            "area_a2": self.area_a2,
            "dft_energy": self.dft_energy,
            "dft_surface_energy": self.dft_surface_energy,
            "sha256": self.sha256,
            **self.extra,
        }


def structure_sha256(numbers: npt.ArrayLike, pbc: Sequence[bool], cell: npt.ArrayLike, positions: npt.ArrayLike) -> str:
    """Return the content hash of a structure.

    sha256 over atomic numbers (int64), pbc (three bytes), cell and positions (float64, Å) as little-endian arrays in
    file order, nothing else. A negative zero counts as zero.
    """
    digest = hashlib.sha256()
    digest.update(np.ascontiguousarray(numbers, dtype="<i8").tobytes())
    digest.update(bytes(int(flag) for flag in pbc))
    for array in (cell, positions):
        digest.update((np.ascontiguousarray(array, dtype="<f8") + 0.0).tobytes())
    return digest.hexdigest()


def set_sha256(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the content hash of a structure set: structures, ids, roles and references, whatever their order."""
    keys = ("structure_id", "sha256", "role", "bulk_id", "miller_index", "dft_energy", "dft_surface_energy")
    lines = sorted(repr([row[key] for key in keys]) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def reduce_miller_index(values: Sequence[int]) -> tuple[int, int, int]:
    """Return (h, k, l) of three or four whole numbers; of (h, k, i, l) the redundant i = −(h + k) is left out.

    :raises ValueError: if these are no Miller indices.
    """
    numbers = [int(value) for value in values]
    if len(numbers) == 4:
        h, k, i, l = numbers  # noqa: E741
        if h + k + i != 0:
            raise ValueError(f"in a hkil index i must be -(h + k); got {numbers}")
        numbers = [h, k, l]
    if len(numbers) != 3:
        raise ValueError(f'three whole numbers are needed, as in miller_index="1 1 0"; got {list(values)}')
    if not any(numbers):
        raise ValueError("0 0 0 is no plane")
    return numbers[0], numbers[1], numbers[2]


def check_structure_id(structure_id: Any) -> str | None:
    """Return what is wrong with an id, or ``None``."""
    if structure_id is None:
        return "is missing; give every structure a unique text"
    if not isinstance(structure_id, str):
        return (
            f"is read as the {type(structure_id).__name__} {structure_id}, not as text; "
            "use no blanks and put letters in front, as in 'id-7'"
        )
    if not _ID_PATTERN.fullmatch(structure_id):
        return f"{structure_id!r} must be 1 to 200 letters, digits or characters of _.:+@/()[],#- without blanks"
    return None


def check_geometry(record: StructureRecord) -> str | None:
    """Return what makes a structure unusable whatever its role (field and reason), or ``None``."""
    if record.n_atoms == 0:
        return "has no atoms"
    if not np.isfinite(record.cell).all():
        return "Lattice has entries that are no finite numbers"
    volume = float(np.linalg.det(record.cell))
    if abs(volume) < 1e-3:
        return f"Lattice has no volume ({volume:.3g} Å³)"
    if volume < 0:
        return "Lattice is left-handed (a · (b × c) < 0); swap two cell vectors, and their coordinates with them"
    if not np.isfinite(record.positions).all():
        atom = int(np.flatnonzero(~np.isfinite(record.positions).all(axis=1))[0])
        return f"positions: atom {atom} has a coordinate that is no finite number"
    if not all(record.pbc):
        return 'pbc must be true in all three directions, as in pbc="T T T"'
    if (record.numbers < 1).any() or (record.numbers > 118).any():
        return "species: an atom is no chemical element"
    for name in ("dft_energy", "dft_surface_energy"):
        value = getattr(record, name)
        if value is not None and not math.isfinite(value):
            return f"{name} is not a finite number ({value})"
    return None


def check_surface_record(record: StructureRecord, references: bool) -> str | None:
    """Return what keeps a structure out of a surface set, looking at it alone (field and reason), or ``None``.

    :param references: whether the set must bring DFT references.
    """
    if record.role not in ROLES:
        return f"role must be 'bulk' or 'slab'; got {record.role!r}"
    if record.role == BULK:
        if references and record.dft_energy is None:
            return "dft_energy (eV) is missing; a bulk needs it (or declare the set to have no references)"
        return None
    if record.bulk_id is None:
        return "bulk_id is missing; name the structure_id of the slab's bulk"
    if record.miller_index is None:
        return 'miller_index is missing; write it as miller_index="1 1 0"'
    if references and record.dft_energy is None and record.dft_surface_energy is None:
        return (
            "dft_surface_energy (J/m²) and dft_energy (eV) are both missing; "
            "a slab needs one of them (or declare the set to have no references)"
        )
    return None


def check_surface_set(rows: Sequence[Mapping[str, Any]], elements: Mapping[str, frozenset[int]]) -> None:
    """Check what only the whole set can tell: every slab has its bulk, and it is of the same elements.

    :param rows: the rows in file order.
    :param elements: atomic numbers by ``structure_id``.
    :raises StructureSetError: naming the frame and the field.
    """
    roles = {row["structure_id"]: row["role"] for row in rows}
    if BULK not in roles.values() or SLAB not in roles.values():
        raise StructureSetError("A surface set needs at least one bulk and one slab.")
    for frame, row in enumerate(rows):
        if row["role"] != SLAB:
            continue
        where = describe_frame(frame, row["structure_id"])
        bulk_id = row["bulk_id"]
        if roles.get(bulk_id) != BULK:
            known = "is a slab itself" if bulk_id in roles else "is not in the set"
            raise StructureSetError(f"{where}: bulk_id {bulk_id!r} {known}; name the structure_id of a bulk.")
        if elements[row["structure_id"]] != elements[bulk_id]:
            raise StructureSetError(
                f"{where}: bulk_id {bulk_id!r} is a bulk of other elements than the slab's; name the slab's own bulk."
            )


def describe_frame(frame: int, structure_id: Any = None) -> str:
    """Return how messages name a frame, counted from 0 as ASE does."""
    return f"frame {frame}" if structure_id is None else f"frame {frame} ({structure_id})"
