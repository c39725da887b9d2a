"""Structure-set files: what is read, what is written, and every way a file can be wrong."""

from __future__ import annotations

import io
import json
import math

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read

from aiida_surfbench.formats.extxyz import (
    atoms_from_record,
    format_structure,
    iter_frames,
    read_structures,
    record_from_atoms,
    write_structures,
)
from aiida_surfbench.formats.structure_set import StructureRecord, StructureSetError

LATTICE = 'Lattice="3 0 0 0 3 0 0 0 3"'
PROPERTIES = "Properties=species:S:1:pos:R:3"
ATOMS = "Cu 0 0 0\nCu 1.5 1.5 1.5\n"


def frame(
    columns="structure_id=b-1 role=bulk dft_energy=-8.0", *, lattice=LATTICE, atoms=ATOMS, pbc='pbc="T T T"', n=2
):
    return f"{n}\n{lattice} {PROPERTIES} {columns} {pbc}\n{atoms}"


GOOD = frame("structure_id=good")


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "set.extxyz"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return list(read_structures(path))

    return load


@pytest.fixture
def refusal(load, tmp_path):
    def refusal(text):
        with pytest.raises(StructureSetError) as caught:
            load(text)
        message = str(caught.value)
        assert message.startswith(str(tmp_path / "set.extxyz"))
        assert message.endswith(".")
        assert "\n" not in message
        return message.removeprefix(str(tmp_path / "set.extxyz")).lstrip(", ")

    return refusal


def test_a_frame(load):
    columns = 'structure_id=s-1 role=slab bulk_id=b-1 miller_index="1 1 0" dft_energy=-8.5 dft_surface_energy=1'
    (record,) = load(frame(columns))
    assert record.structure_id == "s-1"
    assert record.numbers.tolist() == [29, 29]
    assert record.numbers.dtype == np.int64
    assert record.positions.tolist() == [[0, 0, 0], [1.5, 1.5, 1.5]]
    assert record.cell.tolist() == np.diag([3.0, 3.0, 3.0]).tolist()
    assert record.pbc == (True, True, True)
    assert (record.role, record.bulk_id, record.miller_index) == ("slab", "b-1", (1, 1, 0))
    assert (record.dft_energy, record.dft_surface_energy) == (-8.5, 1.0)
    assert record.extra == {}


def test_hkil_is_reduced(load):
    assert load(frame('structure_id=s miller_index="1 0 -1 2"'))[0].miller_index == (1, 0, 2)


def test_pbc_may_be_left_out(load):
    assert load(frame(pbc=""))[0].pbc == (True, True, True)


def test_cell_vectors_are_rows(load):
    (record,) = load(frame(lattice='Lattice="1 2 3 0 5 6 0 0 9"'))
    assert record.cell.tolist() == [[1, 2, 3], [0, 5, 6], [0, 0, 9]]


def test_blank_lines_between_frames_lose_nothing(load):
    records = load(f"{frame('structure_id=a')}\n\n{frame('structure_id=b')}\n")
    assert [record.structure_id for record in records] == ["a", "b"]


def test_windows_line_ends(load):
    assert len(load((GOOD + frame()).replace("\n", "\r\n"))) == 2


# refusals: one good frame stands before each bad one, so that the message must count


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ("role=bulk", "frame 1: structure_id is missing"),
        ("structure_id", "frame 1 (True): structure_id is read as the bool True"),
        (
            "structure_id=007",
            "frame 1 (7): structure_id is read as the int 7, not as text; use no blanks and put letters",
        ),
        ("structure_id=1e5", "frame 1 (100000.0): structure_id is read as the float 100000.0, not as text"),
        ("structure_id=T", "frame 1 (True): structure_id is read as the bool True, not as text"),
        ("structure_id=nan", "frame 1 (nan): structure_id is read as the float nan, not as text"),
        ('structure_id="1 2"', "frame 1 ([1 2]): structure_id is read as the ndarray [1 2], not as text"),
        ('structure_id="a b"', "frame 1 (a b): structure_id 'a b' must be 1 to 200 letters"),
        ("structure_id=good", "frame 1: structure_id 'good' was used by frame 0 already; ids must be unique"),
        ("structure_id=x bulk_id=7", "frame 1 (x): bulk_id is read as the int 7"),
        ('structure_id=x bulk_id="a b"', "frame 1 (x): bulk_id 'a b' must be"),
        ("structure_id=x role=1", "frame 1 (x): role must be text; got 1"),
        ("structure_id=x miller_index=111", "frame 1 (x): miller_index must be three whole numbers"),
        ('structure_id=x miller_index="1 1 0.5"', "frame 1 (x): miller_index must be three whole numbers"),
        ("structure_id=x miller_index=10-10", "frame 1 (x): miller_index must be three whole numbers"),
        ('structure_id=x miller_index="T F F"', "frame 1 (x): miller_index must be three whole numbers"),
        ('structure_id=x miller_index="1 1"', "frame 1 (x): miller_index: three whole numbers are needed"),
        ('structure_id=x miller_index="0 0 0"', "frame 1 (x): miller_index: 0 0 0 is no plane"),
        ('structure_id=x miller_index="1 0 0 0"', "frame 1 (x): miller_index: in a hkil index i must be -(h + k)"),
        ("structure_id=x dft_energy=nan", "frame 1 (x): dft_energy is not a finite number (nan)"),
        ("structure_id=x dft_surface_energy=-inf", "frame 1 (x): dft_surface_energy is not a finite number (-inf)"),
        ("structure_id=x dft_energy=low", "frame 1 (x): dft_energy must be a number; got 'low'"),
        ("structure_id=x dft_energy=T", "frame 1 (x): dft_energy must be a number; got True"),
        ('structure_id=x dft_energy="1 2"', "frame 1 (x): dft_energy must be a number; got array([1, 2])"),
        ("structure_id=x n_atoms=2", "frame 1 (x): n_atoms: this column is computed from the structure; rename yours"),
        ('structure_id=x note="" dft_energy=1', "frame 1: note: has an empty value; leave the column out"),
        ("structure_id=x dft_energy=[ ] pbc=F", "frame 1: dft_energy: has an empty value; leave the column out"),
        ("structure_id=x sha256=abc", "frame 1 (x): sha256: this column is computed"),
    ],
)
def test_bad_columns(refusal, columns, sentence):
    assert refusal(GOOD + frame(columns)).startswith(sentence)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lattice": 'Lattice="3 0 0 0 3 0 0 0 0"'}, "frame 1 (b-1): Lattice has no volume"),
        ({"lattice": ""}, "frame 1 (b-1): Lattice has no volume"),
        ({"lattice": 'Lattice="3 0 0 0 3 0 0 0 -3"'}, "frame 1 (b-1): Lattice is left-handed"),
        ({"lattice": 'Lattice="3 0 0 0 nan 0 0 0 3"'}, "frame 1 (b-1): Lattice has entries that are no finite numbers"),
        ({"lattice": 'Lattice="3 3 3"'}, "frame 1: cannot be read as extended XYZ"),
        ({"pbc": 'pbc="T T F"'}, "frame 1 (b-1): pbc must be true in all three directions"),
        ({"pbc": "pbc=F"}, "frame 1 (b-1): pbc must be true in all three directions"),
        ({"atoms": "Cu 0 0 0\nCu 1.5 NaN 1.5\n"}, "frame 1 (b-1): positions: atom 1 has a coordinate"),
        ({"atoms": "Cu 0 0 0\nCu 1.5 inf 1.5\n"}, "frame 1 (b-1): positions: atom 1 has a coordinate"),
        ({"atoms": "Cu 0 0 0\nXx 1.5 1.5 1.5\n"}, "frame 1: species: 'Xx' is no chemical element"),
        ({"atoms": "Cu 0 0 0\nX 1.5 1.5 1.5\n"}, "frame 1 (b-1): species: an atom is no chemical element"),
        ({"atoms": "Cu 0 0 0\nCu 1.5 1.5\n"}, "frame 1: cannot be read as extended XYZ"),
        (
            {"atoms": "Cu 0 0 0\nCu 1.5 x 1.5\n"},
            "frame 1: cannot be read as extended XYZ (ValueError: could not convert",
        ),
        ({"atoms": "", "n": 0}, "frame 1 (b-1): has no atoms"),
        ({"n": 1}, "frame 2: must begin with its number of atoms; got 'Cu 1.5 1.5 1.5'"),
        ({"n": -1}, "frame 1: must begin with its number of atoms; got '-1'"),
        ({"n": "2.0"}, "frame 1: must begin with its number of atoms; got '2.0'"),
    ],
)
def test_bad_structures(refusal, change, sentence):
    assert refusal(GOOD + frame(**change)).startswith(sentence)


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [
        ("2\n", "frame 1: the file ends within the comment line, it is truncated"),
        ("2", "frame 1: the file ends within the comment line, it is truncated"),
        (f"2\n{LATTICE} {PROPERTIES} struct", "frame 1: the file ends within the comment line, it is truncated"),
        (frame(atoms=""), "frame 1: the file ends within atom 0 of 2 (counted from 0), it is truncated"),
        (frame(atoms="Cu 0 0 0\n"), "frame 1: the file ends within atom 1 of 2 (counted from 0), it is truncated"),
        (
            frame(atoms="Cu 0 0 0\nCu 1.5"),
            "frame 1: the file ends within atom 1 of 2 (counted from 0), it is truncated",
        ),
        (frame(atoms="Cu 0 0 0\nCu 1.5 1.5 1."), "frame 1: the file ends within atom 1 of 2 (counted from 0)"),
    ],
)
def test_truncated(refusal, keep, sentence):
    assert refusal(GOOD + keep).startswith(sentence)


def test_every_cut_is_noticed(load):
    whole = frame()
    for length in range(1, len(whole)):
        with pytest.raises(StructureSetError, match="frame 1: the file ends within"):
            load(GOOD + whole[:length])


def test_frames_before_the_broken_one_are_read(tmp_path):
    path = tmp_path / "set.extxyz"
    path.write_text(GOOD + "2\n")
    records = read_structures(path)
    assert next(records).structure_id == "good"
    with pytest.raises(StructureSetError, match="frame 1"):
        next(records)


def test_no_extxyz(refusal):
    assert refusal("data_Cu\n_cell_length_a 3.6\n").startswith(
        "frame 0: must begin with its number of atoms; got 'data_Cu'"
    )
    assert refusal("x" * 500 + "\n") == f"frame 0: must begin with its number of atoms; got '{'x' * 40}'."
    assert refusal(b"\x89PNG\x0d\x0a\xff\xfe").startswith("frame 0: the file is no text")


def test_plain_xyz_has_no_id(refusal):
    assert refusal("2\nplain comment\n" + ATOMS).startswith("frame 0: structure_id is missing")


@pytest.mark.parametrize("text", ["", "\n\n  \n"])
def test_empty_file(refusal, text):
    assert refusal(text).endswith("is empty: a structure-set file has at least one frame.")


def test_missing_file(tmp_path):
    with pytest.raises(StructureSetError, match=r"nowhere\.extxyz is not a file"):
        list(read_structures(tmp_path / "nowhere.extxyz"))
    with pytest.raises(StructureSetError, match="is not a file"):
        list(read_structures(tmp_path))


# further columns


EXTRA = {
    "mp_id": "mp-30",
    "note": "two words",
    "cite": "Tran et al., Sci. Data 3 (2016), 3 decimals",
    "count": 3,
    "negative": -7,
    "large": 12345678901234567,
    "value": 0.1 + 0.2,
    "tiny": 1.5e-300,
    "whole": 2.0,
    "flag": True,
    "other": False,
    "ints": [1, 2, 3, 4],
    "floats": [0.1, -2.5e-7],
    "flags": [True, False, True],
    "nine": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.5],
    "holes": [1.0, None, 3.0],
    "energy": -3.25,
    "magmom": 0.5,
    "stress": [1.0, 6.5, 5.0, 6.5, 2.0, 4.0, 5.0, 4.0, 3.0],
    "virial": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.5],
    "virial_stress": [1.0, 2.0, 3.0, 4.0, 5.0, 6.5],
}


@pytest.mark.parametrize("key", EXTRA)
def test_columns_survive_the_file(load, key):
    value = EXTRA[key]
    item = record_from_atoms(
        Atoms("Cu2", ((0, 0, 0), (1, 1, 1)), cell=(3, 3, 3), pbc=True), structure_id="x", **{key: value}
    )
    assert item.extra == {key: value}
    (found,) = load(format_structure(item))
    assert found.extra == {key: value}
    assert type(found.extra[key]) is type(value)
    if isinstance(value, list):
        assert [type(entry) for entry in found.extra[key]] == [type(entry) for entry in value]


def test_all_columns_together(load):
    item = record_from_atoms(Atoms("Cu", cell=(3, 3, 3), pbc=True), structure_id="x", **EXTRA)
    (found,) = load(format_structure(item))
    assert found.row() == item.row()


def test_columns_are_what_json_holds(load):
    (record,) = load(frame('structure_id=x a=1 b=2.5 c=text d=T e="1 2" f="T F" g="nan 1" h=nan i=-inf j'))
    assert record.extra == {
        "a": 1,
        "b": 2.5,
        "c": "text",
        "d": True,
        "e": [1, 2],
        "f": [True, False],
        "g": [None, 1.0],
        "h": None,
        "i": None,
        "j": True,
    }
    assert json.loads(json.dumps(record.extra, allow_nan=False)) == record.extra


def test_energy_in_the_comment_is_a_column(load):
    (record,) = load(frame("structure_id=x energy=-3.25 free_energy=-3.5"))
    assert record.extra == {"energy": -3.25, "free_energy": -3.5}
    assert record.dft_energy is None


def test_a_nine_number_column_keeps_its_order(load):
    (record,) = load(frame('structure_id=x virial="1 2 3 4 5 6 7 8 9" other="1 2 3 4 5 6 7 8 9"'))
    assert record.extra == {"virial": [1, 2, 3, 4, 5, 6, 7, 8, 9], "other": [1, 2, 3, 4, 5, 6, 7, 8, 9]}


def test_forces_are_no_column(load):
    text = frame("structure_id=x", atoms="Cu 0 0 0 0.1 0 0\nCu 1.5 1.5 1.5 -0.1 0 0\n")
    (record,) = load(text.replace("pos:R:3", "pos:R:3:forces:R:3"))
    assert record.extra == {}


def test_calculator_results_are_columns():
    atoms = Atoms("Cu", cell=(3, 3, 3), pbc=True, info={"structure_id": "x"})
    atoms.calc = SinglePointCalculator(atoms, energy=-1.5, forces=np.zeros((1, 3)))
    assert record_from_atoms(atoms).extra == {"energy": -1.5}


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        ({"note": "007"}, "note: the text '007' would be read back as 7"),
        ({"note": "1e5"}, "note: the text '1e5' would be read back as 100000.0"),
        ({"note": "T"}, "note: the text 'T' would be read back as True"),
        ({"note": "nan"}, "note: the text 'nan' would be read back as nan"),
        ({"note": "1 2"}, "note: the text '1 2' would be read back as array"),
        ({"note": ""}, "note: the text '' would be read back as None"),
        ({"note": []}, "note: the list [] would be read back as None"),
        ({"note": [1]}, "note: the list [1] would be read back as 1"),
        ({"note": ["a", "b"]}, "note: the list ['a', 'b'] would be read back as 'a b'"),
        ({"note": [True, None]}, "note: the list [True, None] would be read back as 'T nan'"),
        ({"note": 'a "quoted" word'}, "note: the text"),
        ({"note": "two\nlines"}, "note: the text"),
        ({"role": "T"}, "role: the text 'T' would be read back as True"),
        ({"note": {"a": 1}}, "note: a dict is no column"),
        ({"note": [[1, 2], [3, 4]]}, "note: a list is no column"),
        ({"stress": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}, "stress: extended XYZ takes this column for a 3 × 3 matrix"),
        ({"virial": 1.0}, "virial: extended XYZ takes this column for a 3 × 3 matrix"),
        ({"a b": 1}, "'a b': a column's name has no blanks"),
        ({"a=b": 1}, "'a=b': a column's name has no blanks"),
        ({"": 1}, "'': a column's name has no blanks"),
        ({"element": "Cu"}, "element: this column is computed"),
    ],
)
def test_columns_that_a_file_cannot_carry(column, sentence):
    with pytest.raises(StructureSetError) as caught:
        record_from_atoms(Atoms("Cu", cell=(3, 3, 3), pbc=True), structure_id="x", **column)
    assert str(caught.value).startswith(sentence)


# round trip


def random_records(count=20):
    random = np.random.default_rng(11)
    records = []
    for number in range(count):
        n_atoms = int(random.integers(1, 13))
        cell = np.diag(random.uniform(3, 20, 3)) + random.uniform(-0.5, 0.5, (3, 3))
        records.append(
            StructureRecord(
                structure_id=f"id-{number}",
                numbers=random.integers(1, 95, n_atoms),
                positions=random.normal(size=(n_atoms, 3)) * 10.0 ** random.integers(-12, 3, (n_atoms, 3)),
                cell=cell,
                role="slab",
                bulk_id="id-0",
                miller_index=(1, -1, int(random.integers(0, 4))),
                dft_energy=float(random.normal()),
                dft_surface_energy=float(random.normal()) if number % 2 else None,
                extra={"x": float(random.normal()), "k": number},
            )
        )
    return records


def test_round_trip_loses_nothing(load):
    records = random_records()
    stream = io.StringIO()
    assert write_structures(stream, records) == len(records)
    found = load(stream.getvalue())
    for before, after in zip(records, found, strict=True):
        assert np.array_equal(before.positions, after.positions)
        assert np.array_equal(before.cell, after.cell)
        assert np.array_equal(before.numbers, after.numbers)
        assert before.sha256 == after.sha256
        assert before.row() == after.row()
    again = io.StringIO()
    write_structures(again, found)
    assert again.getvalue() == stream.getvalue()


def test_round_trip_by_way_of_ase():
    for record in random_records():
        atoms = atoms_from_record(record)
        assert record_from_atoms(atoms).row() == record.row()
        assert math.isclose(atoms.get_volume(), np.linalg.det(record.cell))


def test_ase_reads_what_is_written(tmp_path):
    path = tmp_path / "set.extxyz"
    records = random_records(3)
    with path.open("w") as stream:
        write_structures(stream, records)
    for record, atoms in zip(records, read(path, index=":"), strict=True):
        assert atoms.info["structure_id"] == record.structure_id
        assert np.array_equal(atoms.positions, record.positions)
        assert np.array_equal(atoms.cell.array, record.cell)


def test_negative_zero_is_the_same_structure(load):
    minus = load(frame(atoms="Cu -0.0 0 -0.0\nCu 1.5 1.5 1.5\n", lattice='Lattice="3 -0.0 0 0 3 0 0 0 3"'))
    assert minus[0].sha256 == load(frame())[0].sha256


# frames as text


def test_iter_frames():
    texts = [format_structure(record) for record in random_records(5)]
    assert list(iter_frames(io.StringIO("".join(texts)))) == texts
    assert list(iter_frames(io.StringIO(""))) == []


def test_iter_frames_refuses_what_is_no_frame():
    with pytest.raises(StructureSetError, match="frame 1: must begin with its number of atoms; got 'Cu'"):
        list(iter_frames(io.StringIO("1\ncomment\nCu 0 0 0\nCu\n")))
    with pytest.raises(StructureSetError, match=r"frame 0: the file ends within atom 2 of 3"):
        list(iter_frames(io.StringIO("3\ncomment\nCu 0 0 0\nCu 0 0 0\n")))
