"""Structure sets as nodes: thousands of structures, one node."""

from __future__ import annotations

import io
import itertools
import tempfile
from collections.abc import Collection, Iterable, Iterator
from typing import IO, Any, cast

from aiida.common.exceptions import ValidationError
from aiida.orm import Data
from ase import Atoms
from ase.data import chemical_symbols

from ..formats.extxyz import atoms_from_record, check_round_trip, format_structure, iter_frames, read_structures
from ..formats.structure_set import (
    BULK,
    SLAB,
    StructureRecord,
    StructureSetError,
    check_geometry,
    check_structure_id,
    check_surface_record,
    check_surface_set,
    describe_frame,
    set_sha256,
)
from .table import TABLE_FILE, read_rows, read_table, write_table

SHARD_FOLDER = "structures"


class StructureSetData(Data):
    """An ordered set of structures, each with a unique id.

    The repository holds the structures as extended XYZ in shards of at most :attr:`SHARD_SIZE`, and a table with one
    row per structure (all columns, no coordinates). Attributes hold the summary only: ``n_structures``, ``elements``,
    ``sha256`` (content hash of the set), ``shard_sizes`` and ``source`` (where the structures came from).
    """

    SHARD_SIZE = 20_000

    def __init__(self, records: Iterable[StructureRecord], source: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Build the set, writing shard by shard.

        :param records: the structures, in order; read once.
        :param source: JSON-able facts on where they came from.
        :raises StructureSetError: if the set is not valid; the message names the frame and the field.
        """
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        rows: list[dict[str, Any]] = []
        elements: dict[str, frozenset[int]] = {}
        shard_sizes: list[int] = []
        for shard, chunk in enumerate(_chunks(records, self.SHARD_SIZE)):
            with tempfile.TemporaryFile("w+b") as stream:
                for record in chunk:
                    self._check_record(len(rows), record, elements)
                    stream.write(format_structure(record).encode())
                    elements[record.structure_id] = frozenset(record.numbers.tolist())
                    rows.append({**record.row(), "shard": shard})
                stream.seek(0)
                self.base.repository.put_object_from_filelike(cast(io.BufferedReader, stream), shard_path(shard))
            shard_sizes.append(len(chunk))
        self._check_set(rows, elements)
        write_table(self, rows)
        symbols = sorted(chemical_symbols[z] for z in frozenset().union(*elements.values()))
        self.base.attributes.set_many(
            {
                "n_structures": len(rows),
                "elements": symbols,
                "sha256": set_sha256(rows),
                "shard_sizes": shard_sizes,
                "source": source or {},
                **self._summary(rows),
            }
        )

    def _check_record(self, frame: int, record: StructureRecord, seen: Collection[str]) -> None:
        problem = check_structure_id(record.structure_id)
        if problem:
            raise StructureSetError(f"{describe_frame(frame)}: structure_id {problem}.")
        if record.structure_id in seen:
            raise StructureSetError(
                f"{describe_frame(frame)}: structure_id {record.structure_id!r} is used twice; ids must be unique."
            )
        problem = check_geometry(record)
        if problem:
            raise StructureSetError(f"{describe_frame(frame, record.structure_id)}: {problem}.")
        try:
            check_round_trip(record)
        except StructureSetError as exception:
            raise StructureSetError(f"{describe_frame(frame, record.structure_id)}: {exception}.") from None

    def _check_set(self, rows: list[dict[str, Any]], elements: dict[str, frozenset[int]]) -> None:
        if not rows:
            raise StructureSetError("A structure set has at least one structure.")

    def _summary(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {}

    def _validate(self) -> bool:
        super()._validate()
        names = self.base.repository.list_object_names()
        if TABLE_FILE not in names or SHARD_FOLDER not in names:
            raise ValidationError(f"a structure set needs {TABLE_FILE} and {SHARD_FOLDER}/ in its repository")
        return True

    @property
    def n_structures(self) -> int:
        """Number of structures."""
        return int(self.base.attributes.get("n_structures"))

    @property
    def elements(self) -> list[str]:
        """Chemical symbols that occur."""
        return list(self.base.attributes.get("elements"))

    @property
    def sha256(self) -> str:
        """Content hash of the set: structures, ids, roles and references."""
        return str(self.base.attributes.get("sha256"))

    @property
    def shards(self) -> list[str]:
        """Repository paths of the shards, in order."""
        return [shard_path(shard) for shard in range(len(self.base.attributes.get("shard_sizes")))]

    @property
    def ids(self) -> list[str]:
        """All ids, in order."""
        return list(read_table(self)["structure_id"])

    def rows(self) -> list[dict[str, Any]]:
        """Return the table's rows (no coordinates): ids, labels, references, ``element``, ``n_atoms``, ``area_a2``
        (Å²), ``sha256``, ``shard`` and whatever columns the source had.
        """
        return read_rows(self)

    def iter_structures(self, ids: Collection[str] | None = None) -> Iterator[StructureRecord]:
        """Yield the structures, in order; only those of ``ids`` if given.

        :raises KeyError: if an id is not in the set.
        """
        with tempfile.NamedTemporaryFile("w", suffix=".extxyz", encoding="utf-8") as stream:
            if self.write_structures(stream, ids) == 0:
                return
            stream.flush()
            yield from read_structures(stream.name)

    def get_ase(self, structure_id: str) -> Atoms:
        """Return one structure as ASE Atoms, its columns in ``info``.

        :raises KeyError: if the id is not in the set.
        """
        return atoms_from_record(next(self.iter_structures([structure_id])))

    def write_structures(self, stream: IO[str], ids: Collection[str] | None = None) -> int:
        """Copy the structures as text, shard by shard, and return their number; only those of ``ids`` if given.

        :raises KeyError: if an id is not in the set.
        """
        table = read_table(self)
        wanted = set(table["structure_id"] if ids is None else ids)
        unknown = sorted(wanted.difference(table["structure_id"]))
        if unknown:
            raise KeyError(f"{unknown[0]!r} is no structure_id of this set")
        needed = {shard for name, shard in zip(table["structure_id"], table["shard"], strict=True) if name in wanted}
        start = 0
        for shard, size in enumerate(self.base.attributes.get("shard_sizes")):
            names = table["structure_id"][start : start + size]
            start += size
            if shard not in needed:
                continue
            with self.base.repository.open(shard_path(shard), "rb") as handle:
                text = io.TextIOWrapper(handle, encoding="utf-8")
                for name, frame in zip(names, iter_frames(text), strict=True):
                    if name in wanted:
                        stream.write(frame)
        return len(wanted)


class SurfaceSetData(StructureSetData):
    """Slabs with their bulks and, unless declared otherwise, DFT references.

    Further attributes: ``n_bulks``, ``n_slabs``, ``has_references``.
    """

    def __init__(
        self,
        records: Iterable[StructureRecord],
        source: dict[str, Any] | None = None,
        references: bool = True,
        **kwargs: Any,
    ) -> None:
        """Build the set; see :class:`StructureSetData`.

        :param references: whether DFT references are required; sets without them only compare potentials.
        """
        self._references = references
        super().__init__(records, source, **kwargs)

    def _check_record(self, frame: int, record: StructureRecord, seen: Collection[str]) -> None:
        super()._check_record(frame, record, seen)
        problem = check_surface_record(record, self._references)
        if problem:
            raise StructureSetError(f"{describe_frame(frame, record.structure_id)}: {problem}.")

    def _check_set(self, rows: list[dict[str, Any]], elements: dict[str, frozenset[int]]) -> None:
        super()._check_set(rows, elements)
        check_surface_set(rows, elements)

    def _summary(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        roles = [row["role"] for row in rows]
        return {"n_bulks": roles.count(BULK), "n_slabs": roles.count(SLAB), "has_references": self._references}

    @property
    def n_bulks(self) -> int:
        """Number of bulks."""
        return int(self.base.attributes.get("n_bulks"))

    @property
    def n_slabs(self) -> int:
        """Number of slabs."""
        return int(self.base.attributes.get("n_slabs"))

    @property
    def has_references(self) -> bool:
        """Whether the set brings DFT references."""
        return bool(self.base.attributes.get("has_references"))


def shard_path(shard: int) -> str:
    """Return the repository path of a shard."""
    return f"{SHARD_FOLDER}/{shard:05d}.extxyz"


def _chunks(records: Iterable[StructureRecord], size: int) -> Iterator[list[StructureRecord]]:
    iterator = iter(records)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
