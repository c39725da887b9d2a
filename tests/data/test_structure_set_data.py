"""StructureSetData and SurfaceSetData: what goes in comes out, shard by shard, and what is wrong is refused."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import ase.build
import numpy as np
import pytest
from aiida.common.exceptions import ModificationNotAllowed, ValidationError
from aiida.orm import load_node
from ase import Atoms

from aiida_surfbench.data.structure_set import StructureSetData, SurfaceSetData, shard_path
from aiida_surfbench.data.table import write_table
from aiida_surfbench.formats.structure_set import StructureRecord, StructureSetError


class SmallShards(SurfaceSetData):
    """Surface sets of five structures a shard."""

    SHARD_SIZE = 5


class SmallStructureShards(StructureSetData):
    """Structure sets of five structures a shard."""

    SHARD_SIZE = 5


def tiny(number, role=None):
    """Return a structure of one atom, different for every number."""
    return StructureRecord(
        structure_id=f"s{number}",
        numbers=np.array([29]),
        positions=np.array([[0.1, 0.2, 0.3 + 1e-6 * number]]),
        cell=np.eye(3) * 2.5,
        role=role,
    )


def exactly_equal(one, two):
    return (
        one.structure_id == two.structure_id
        and np.array_equal(one.numbers, two.numbers)
        and np.array_equal(one.positions, two.positions)
        and np.array_equal(one.cell, two.cell)
        and one.pbc == two.pbc
        and one.row() == two.row()
    )


def test_round_trip_keeps_every_digit(aiida_profile, metal_records):
    records = metal_records(("Cu", "Au"))
    odd = replace(records[1], positions=records[1].positions + np.pi / 3, dft_surface_energy=0.1 + 0.2)
    records = [records[0], odd, *records[2:]]
    node = load_node(SurfaceSetData(records).store().uuid)
    found = list(node.iter_structures())
    assert len(found) == len(records)
    assert all(exactly_equal(one, two) for one, two in zip(records, found, strict=True))
    assert found[1].dft_surface_energy == 0.1 + 0.2
    assert (node.n_structures, node.n_bulks, node.n_slabs) == (6, 2, 4)
    assert node.elements == ["Au", "Cu"]
    assert node.has_references is True


def test_get_ase_brings_the_columns(dataset):
    atoms = dataset.get_ase("Cu-111")
    assert isinstance(atoms, Atoms)
    assert atoms.get_chemical_formula() == "Cu4"
    assert atoms.pbc.all()
    assert (atoms.info["role"], atoms.info["bulk_id"], list(atoms.info["miller_index"])) == (
        "slab",
        "Cu-bulk",
        [1, 1, 1],
    )
    with pytest.raises(KeyError, match="no-such"):
        dataset.get_ase("no-such")


def test_table_holds_no_coordinates_and_is_read_without_them(dataset, monkeypatch):
    text = dataset.base.repository.get_object_content("table.json")
    assert set(json.loads(text)) == {
        "structure_id", "role", "bulk_id", "miller_index", "element", "n_atoms", "area_a2", "dft_energy",
        "dft_surface_energy", "sha256", "source", "shard",
    }  # fmt: skip
    opened = []
    original = type(dataset.base.repository).open

    def spy(self, path, *args, **kwargs):
        opened.append(str(path))
        return original(self, path, *args, **kwargs)

    monkeypatch.setattr(type(dataset.base.repository), "open", spy)
    rows = dataset.rows()
    assert len(rows) == len(dataset.ids) == 18
    assert [path for path in opened if path.startswith("structures")] == []
    slab = next(row for row in rows if row["structure_id"] == "Cu-111")
    cell = dataset.get_ase("Cu-111").cell.array
    assert slab["area_a2"] == pytest.approx(np.linalg.norm(np.cross(cell[0], cell[1])), abs=1e-12)
    assert (slab["element"], slab["n_atoms"], slab["dft_energy"], slab["source"]) == ("Cu", 4, None, None)


def test_ids_keep_the_order(aiida_profile, metal_records):
    records = metal_records(("Cu", "Au"))[::-1]
    node = SurfaceSetData(records).store()
    assert node.ids == [record.structure_id for record in records] == [row["structure_id"] for row in node.rows()]
    assert [record.structure_id for record in node.iter_structures()] == node.ids


def test_write_structures_selects_in_the_order_of_the_set(dataset):
    stream = io.StringIO()
    assert dataset.write_structures(stream, ["Cu-111", "Ag-bulk"]) == 2
    text = stream.getvalue()
    assert text.index("structure_id=Ag-bulk") < text.index("structure_id=Cu-111")
    assert text.count("structure_id=") == 2
    assert dataset.write_structures(io.StringIO(), []) == 0
    assert list(dataset.iter_structures([])) == []
    everything = io.StringIO()
    assert dataset.write_structures(everything) == 18
    assert everything.getvalue() == dataset.base.repository.get_object_content(shard_path(0))


def test_unknown_id_is_refused_before_anything_is_written(dataset):
    stream = io.StringIO()
    with pytest.raises(KeyError, match="'nobody' is no structure_id"):
        dataset.write_structures(stream, ["Cu-111", "nobody"])
    assert stream.getvalue() == ""
    with pytest.raises(KeyError, match="nobody"):
        list(dataset.iter_structures(["nobody"]))


def test_shards_are_written_and_read_apart(aiida_profile, metal_records, monkeypatch):
    records = metal_records()
    node = SmallShards(records)
    assert node.base.attributes.get("shard_sizes") == [5, 5, 5, 3]
    assert node.shards == [shard_path(number) for number in range(4)]
    assert [row["shard"] for row in node.rows()] == [number // 5 for number in range(18)]
    assert all(exactly_equal(one, two) for one, two in zip(records, node.iter_structures(), strict=True))
    opened = []
    original = type(node.base.repository).open

    def spy(self, path, *args, **kwargs):
        opened.append(str(path))
        return original(self, path, *args, **kwargs)

    monkeypatch.setattr(type(node.base.repository), "open", spy)
    wanted = [records[7].structure_id, records[6].structure_id]
    found = list(node.iter_structures(wanted))
    assert [record.structure_id for record in found] == wanted[::-1]
    assert exactly_equal(found[1], records[7])
    assert [path for path in opened if path.startswith("structures/")] == [shard_path(1)]
    across = list(node.iter_structures([records[0].structure_id, records[17].structure_id]))
    assert [record.structure_id for record in across] == [records[0].structure_id, records[17].structure_id]


def test_a_set_that_fills_its_shards_exactly_has_no_empty_one(aiida_profile):
    node = SmallStructureShards([tiny(number) for number in range(10)])
    assert node.base.attributes.get("shard_sizes") == [5, 5]
    assert len(list(node.iter_structures())) == 10


def test_sha256_sees_content_not_order(aiida_profile, metal_records):
    records = metal_records(("Cu", "Au"))
    first = SurfaceSetData(records).sha256
    assert SurfaceSetData(records[::-1]).sha256 == first
    assert SmallShards(records).sha256 == first
    assert SurfaceSetData(records, {"file": "elsewhere"}).sha256 == first
    changed = [
        replace(records[1], dft_surface_energy=records[1].dft_surface_energy + 1e-9),
        replace(records[1], structure_id="other"),
        replace(records[1], positions=records[1].positions + 1e-12),
        replace(records[1], miller_index=(2, 1, 1)),
    ]
    hashes = {SurfaceSetData([records[0], record, *records[2:]]).sha256 for record in changed}
    assert len(hashes) == 4
    assert first not in hashes
    extra = replace(records[1], extra={"comment": "a note"})
    assert SurfaceSetData([records[0], extra, *records[2:]]).sha256 == first


def test_stored_set_cannot_be_changed(dataset):
    with pytest.raises(ModificationNotAllowed):
        dataset.base.attributes.set("n_structures", 1)
    with pytest.raises(ModificationNotAllowed):
        dataset.base.repository.put_object_from_filelike(io.BytesIO(b""), shard_path(0))
    with pytest.raises(ModificationNotAllowed, match="stored node cannot be changed"):
        write_table(dataset, [])
    assert dataset.n_structures == 18


def test_set_without_its_files_is_not_stored(aiida_profile, metal_records):
    node = SurfaceSetData(metal_records(("Cu",)))
    node.base.repository.delete_object("table.json")
    with pytest.raises(ValidationError, match=r"table\.json"):
        node.store()


def bad(records, number, **changes):
    return [replace(record, **changes) if index == number else record for index, record in enumerate(records)]


@pytest.mark.parametrize(
    ("number", "changes", "frame", "field"),
    [
        (2, {"structure_id": "Cu-bulk"}, "frame 2", "structure_id 'Cu-bulk' is used twice"),
        (1, {"structure_id": ""}, "frame 1", "structure_id"),
        (1, {"structure_id": "a b"}, "frame 1", "structure_id 'a b'"),
        (1, {"structure_id": None}, "frame 1", "structure_id is missing"),
        (1, {"role": "surface"}, "frame 1 (Cu-111)", "role must be 'bulk' or 'slab'"),
        (1, {"role": None}, "frame 1 (Cu-111)", "role"),
        (1, {"bulk_id": None}, "frame 1 (Cu-111)", "bulk_id is missing"),
        (1, {"bulk_id": "nowhere"}, "frame 1 (Cu-111)", "bulk_id 'nowhere' is not in the set"),
        (1, {"bulk_id": "Cu-100"}, "frame 1 (Cu-111)", "bulk_id 'Cu-100' is a slab itself"),
        (1, {"bulk_id": "Au-bulk"}, "frame 1 (Cu-111)", "bulk of other elements"),
        (1, {"miller_index": None}, "frame 1 (Cu-111)", "miller_index is missing"),
        (0, {"dft_energy": None}, "frame 0 (Cu-bulk)", "dft_energy (eV) is missing"),
        (1, {"dft_surface_energy": None}, "frame 1 (Cu-111)", "dft_surface_energy (J/m²) and dft_energy (eV)"),
        (1, {"dft_surface_energy": float("nan")}, "frame 1 (Cu-111)", "dft_surface_energy is not a finite number"),
        (0, {"dft_energy": float("inf")}, "frame 0 (Cu-bulk)", "dft_energy is not a finite number"),
        (1, {"positions": np.full((4, 3), np.nan)}, "frame 1 (Cu-111)", "positions: atom 0"),
        (1, {"cell": np.diag([2.0, 2.0, np.nan])}, "frame 1 (Cu-111)", "Lattice"),
        (1, {"cell": np.zeros((3, 3))}, "frame 1 (Cu-111)", "Lattice has no volume"),
        (1, {"cell": np.diag([2.5, 2.5, -20.0])}, "frame 1 (Cu-111)", "Lattice is left-handed"),
        (1, {"pbc": (True, True, False)}, "frame 1 (Cu-111)", "pbc must be true"),
        (1, {"numbers": np.zeros(0, int), "positions": np.zeros((0, 3))}, "frame 1 (Cu-111)", "no atoms"),
    ],
)
def test_invalid_surface_set_is_refused_with_frame_and_field(
    aiida_profile, metal_records, number, changes, frame, field
):
    with pytest.raises(StructureSetError) as refusal:
        SurfaceSetData(bad(metal_records(("Cu", "Au")), number, **changes))
    assert frame in str(refusal.value)
    assert field in str(refusal.value)


@pytest.mark.parametrize("role", ["bulk", "slab"])
def test_set_of_one_role_is_refused(aiida_profile, metal_records, role):
    records = [record for record in metal_records(("Cu",)) if record.role == role]
    with pytest.raises(StructureSetError, match=r"at least one bulk and one slab|is not in the set"):
        SurfaceSetData(records)


def test_empty_sets_are_refused(aiida_profile):
    with pytest.raises(StructureSetError, match="at least one structure"):
        StructureSetData([])
    with pytest.raises(StructureSetError, match="at least one"):
        SurfaceSetData([])


def test_duplicate_id_in_another_shard_is_refused(aiida_profile):
    records = [tiny(number) for number in range(7)]
    with pytest.raises(StructureSetError, match="frame 7: structure_id 's1' is used twice"):
        SmallStructureShards([*records, tiny(1)])


def test_set_without_references_needs_none(aiida_profile, metal_records):
    bare = [replace(record, dft_energy=None, dft_surface_energy=None) for record in metal_records(("Cu",))]
    with pytest.raises(StructureSetError, match="declare the set to have no references"):
        SurfaceSetData(bare)
    node = SurfaceSetData(bare, references=False).store()
    assert load_node(node.pk).has_references is False
    assert all(row["dft_energy"] is None for row in node.rows())


def test_compound_is_called_by_its_reduced_formula(aiida_profile, make_record):
    bulk = ase.build.bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    node = StructureSetData([make_record(bulk, "salt")])
    assert node.rows()[0]["element"] == "NaCl"
    assert node.elements == ["Cl", "Na"]


def test_hundred_thousand_structures_are_one_node(aiida_profile):
    """100,000 structures: one node, five shards, a selection from the last one."""
    node = StructureSetData(tiny(number) for number in range(100_000)).store()
    assert node.n_structures == 100_000
    assert node.base.attributes.get("shard_sizes") == [20_000] * 5
    assert len(json.dumps(node.base.attributes.all)) < 1000
    found = list(node.iter_structures(["s99999", "s0"]))
    assert [record.structure_id for record in found] == ["s0", "s99999"]
    assert exactly_equal(found[1], tiny(99_999))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"structure_id": "007"}, "structure_id: the text '007' would be read back as 7"),
        ({"extra": {"note": "1e5"}}, "note: the text '1e5' would be read back as"),
        ({"extra": {"element": "Cu"}}, "element: this column is computed"),
    ],
)
def test_records_a_file_could_not_carry_are_refused(aiida_profile, metal_records, changes, words):
    first, *rest = metal_records(("Cu",))
    slabs = [replace(record, bulk_id=changes.get("structure_id", first.structure_id)) for record in rest]
    with pytest.raises(StructureSetError, match=re.escape(words)):
        SurfaceSetData([replace(first, **changes), *slabs])
