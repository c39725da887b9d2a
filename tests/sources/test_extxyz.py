"""Surface sets from files."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_surfbench.formats.extxyz import format_structure
from aiida_surfbench.formats.structure_set import StructureRecord, StructureSetError
from aiida_surfbench.sources.extxyz import check_surface_records, read_surface_set


def record(structure_id="bulk-1", role="bulk", element=29, **fields):
    if role == "bulk":
        fields = {"dft_energy": -4.1, **fields}
    elif role == "slab":
        fields = {"bulk_id": "bulk-1", "miller_index": (1, 1, 1), "dft_surface_energy": 1.3, **fields}
    return StructureRecord(
        structure_id=structure_id,
        numbers=np.array([element, element]),
        positions=np.array([[0.0, 0.0, 0.0], [1.5, 1.5, 1.5]]),
        cell=np.diag([3.0, 3.0, 3.0 if role == "bulk" else 15.0]),
        role=role,
        **fields,
    )


@pytest.fixture
def write(tmp_path):
    def write(*records):
        path = tmp_path / "set.extxyz"
        path.write_text("".join(format_structure(item) for item in records))
        return path

    return write


def test_valid_set_in_file_order(write):
    records = [record("slab-1", "slab"), record(), record("slab-2", "slab", dft_surface_energy=None, dft_energy=-8.0)]
    read = read_surface_set(write(*records))
    assert [item.structure_id for item in read] == ["slab-1", "bulk-1", "slab-2"]
    assert [item.row() for item in read] == [item.row() for item in records]


@pytest.mark.parametrize(
    ("second", "field", "sentence"),
    [
        (record("x", "adsorbate"), "role", "role must be 'bulk' or 'slab'; got 'adsorbate'"),
        (record("x", None), "role", "got None"),
        (record("x", "slab", bulk_id=None), "bulk_id", "bulk_id is missing"),
        (record("x", "slab", bulk_id="bulk-9"), "bulk_id", "'bulk-9' is not in the set"),
        (record("x", "slab", bulk_id="x"), "bulk_id", "'x' is a slab itself"),
        (record("x", "slab", element=28), "bulk_id", "bulk of other elements"),
        (record("x", "slab", miller_index=None), "miller_index", "miller_index is missing"),
        (record("x", "slab", dft_surface_energy=None), "dft_surface_energy", "both missing"),
        (record("x", "bulk", dft_energy=None), "dft_energy", "a bulk needs it"),
    ],
)
def test_refusals_name_file_frame_id_and_field(write, second, field, sentence):
    path = write(record(), second, record("slab-1", "slab"))
    with pytest.raises(StructureSetError) as caught:
        read_surface_set(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, frame 1 (x): {field}")
    assert sentence in message
    assert message.endswith(".")


def test_no_references_when_declared(write):
    path = write(record(dft_energy=None), record("slab-1", "slab", dft_surface_energy=None))
    assert len(read_surface_set(path, references=False)) == 2
    with pytest.raises(StructureSetError, match=r"frame 0 \(bulk-1\): dft_energy"):
        read_surface_set(path)


@pytest.mark.parametrize("records", [[record()], [record("a", "slab")]])
def test_needs_a_bulk_and_a_slab(write, records):
    path = write(*records)
    with pytest.raises(StructureSetError, match="at least one bulk and one slab") as caught:
        read_surface_set(path)
    assert str(caught.value).startswith(f"{path}, ")


def test_fields_of_a_frame_are_prefixed_too(write):
    path = write(record(), record("slab-1", "slab"))
    path.write_text(path.read_text().replace('miller_index="1 1 1"', "miller_index=111"))
    with pytest.raises(StructureSetError, match=r"set\.extxyz, frame 1 \(slab-1\): miller_index must be three"):
        read_surface_set(path)


def test_records_without_a_file():
    check_surface_records([record(), record("slab-1", "slab")])
    with pytest.raises(StructureSetError, match=r"^frame 1 \(slab-1\): bulk_id is missing"):
        check_surface_records([record(), record("slab-1", "slab", bulk_id=None)])
