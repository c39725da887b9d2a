"""Surface sets from a user's own file."""

from __future__ import annotations

from pathlib import Path

from aiida_surfbench.formats.extxyz import read_structures
from aiida_surfbench.formats.structure_set import (
    StructureRecord,
    StructureSetError,
    check_surface_record,
    check_surface_set,
    describe_frame,
)


def check_surface_records(records: list[StructureRecord], references: bool = True, where: str = "") -> None:
    """Check that records are a surface set: each by itself, then the slabs against their bulks.

    :param records: in file order, as the messages count frames.
    :param references: whether every bulk needs ``dft_energy`` (eV) and every slab ``dft_surface_energy`` (J/m²) or
        ``dft_energy``.
    :param where: put before each message, such as the name of the file.
    :raises StructureSetError: naming the frame and the field.
    """
    prefix = f"{where}, " if where else ""
    for frame, record in enumerate(records):
        problem = check_surface_record(record, references)
        if problem:
            raise StructureSetError(f"{prefix}{describe_frame(frame, record.structure_id)}: {problem}.")
    rows = [{"structure_id": r.structure_id, "role": r.role, "bulk_id": r.bulk_id} for r in records]
    elements = {r.structure_id: frozenset(r.numbers.tolist()) for r in records}
    try:
        check_surface_set(rows, elements)
    except StructureSetError as exception:
        raise StructureSetError(f"{prefix}{exception}") from None


def read_surface_set(path: str | Path, references: bool = True) -> list[StructureRecord]:
    """Read a surface set from a structure-set file (extended XYZ) and check all of it.

    :param path: the file.
    :param references: whether the set must bring DFT references; without, potentials are only compared with each other.
    :returns: the structures in file order.
    :raises StructureSetError: naming the file, the frame (counted from 0), the structure and the field.
    """
    records = list(read_structures(path))
    check_surface_records(records, references, where=str(path))
    return records
