"""Records, their hashes and their checks."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from aiida_surfbench.formats.structure_set import (
    StructureRecord,
    StructureSetError,
    check_geometry,
    check_structure_id,
    check_surface_record,
    check_surface_set,
    describe_frame,
    reduce_miller_index,
    set_sha256,
    structure_sha256,
)

RANDOM = np.random.default_rng(7)


def record(structure_id="Cu-1", numbers=(29, 29), **fields):
    numbers = np.array(numbers, dtype=np.int64)
    defaults = {
        "positions": np.arange(3.0 * len(numbers)).reshape(-1, 3) / 7,
        "cell": np.array([[3.0, 0.1, 0.0], [0.0, 4.0, 0.2], [0.3, 0.0, 5.0]]),
    }
    return StructureRecord(structure_id=structure_id, numbers=numbers, **{**defaults, **fields})


def slab(**fields):
    return record(
        **{"structure_id": "s", "role": "slab", "bulk_id": "b", "miller_index": (1, 1, 1), "dft_energy": -1.0, **fields}
    )


# hashes


def test_structure_hash_is_the_documented_one():
    item = record()
    content = (
        item.numbers.astype("<i8").tobytes()
        + b"\x01\x01\x01"
        + item.cell.astype("<f8").tobytes()
        + item.positions.astype("<f8").tobytes()
    )
    assert item.sha256 == hashlib.sha256(content).hexdigest()
    assert item.sha256 == structure_sha256(item.numbers, item.pbc, item.cell, item.positions)


def test_structure_hash_takes_any_array_like():
    item = record()
    assert item.sha256 == structure_sha256(
        item.numbers.tolist(), item.pbc, np.asfortranarray(item.cell), item.positions.astype(">f8")
    )


def test_structure_hash_is_independent_of_labels():
    item = record()
    labelled = replace(
        item, structure_id="x", role="slab", bulk_id="b", miller_index=(1, 0, 0), dft_energy=1.0, extra={"a": 1}
    )
    assert item.sha256 == labelled.sha256


def test_structure_hash_depends_on_content_and_order():
    item = record(numbers=(29, 47, 29))
    order = [1, 0, 2]
    variants = [
        item,
        replace(item, numbers=item.numbers[order], positions=item.positions[order]),
        replace(item, numbers=np.array([29, 47, 47])),
        replace(item, positions=item.positions + 1e-12),
        replace(item, cell=item.cell[[1, 0, 2]]),
        replace(item, pbc=(True, True, False)),
    ]
    assert len({variant.sha256 for variant in variants}) == len(variants)


def test_negative_zero_counts_as_zero():
    item = record(positions=np.zeros((2, 3)), cell=np.diag([3.0, 3.0, 3.0]))
    negative = replace(item, positions=item.positions * -1.0, cell=np.where(item.cell == 0, -0.0, item.cell))
    assert np.signbit(negative.positions).all()
    assert item.sha256 == negative.sha256


def test_hashing_does_not_change_the_structure():
    item = record(positions=np.full((2, 3), -0.0))
    assert item.sha256
    assert np.signbit(item.positions).all()


ROWS = [record("b", role="bulk", dft_energy=-8.0).row(), slab().row(), slab(structure_id="s2").row()]


def test_set_hash_is_independent_of_order_and_further_columns():
    assert set_sha256(ROWS) == set_sha256(ROWS[::-1])
    assert set_sha256(ROWS) == set_sha256([{**row, "mp_id": "mp-30"} for row in ROWS])


@pytest.mark.parametrize(
    "change",
    [
        {"structure_id": "x"},
        {"role": "bulk"},
        {"bulk_id": "x"},
        {"miller_index": [1, 1, 0]},
        {"dft_energy": -1.1},
        {"dft_energy": None},
        {"dft_surface_energy": 1.0},
        {"sha256": "0" * 64},
    ],
)
def test_set_hash_depends_on_ids_roles_and_references(change):
    assert set_sha256(ROWS) != set_sha256([ROWS[0], {**ROWS[1], **change}, ROWS[2]])


def test_set_hash_depends_on_the_number_of_structures():
    assert len({set_sha256(ROWS[:count]) for count in range(4)}) == 4


# what a record knows


def test_row():
    item = slab(extra={"mp_id": "mp-30", "n": 3})
    assert item.row() == {
        "structure_id": "s",
        "role": "slab",
        "bulk_id": "b",
        "miller_index": [1, 1, 1],
        "element": "Cu",
        "n_atoms": 2,
        "area_a2": item.area_a2,
        "dft_energy": -1.0,
        "dft_surface_energy": None,
        "sha256": item.sha256,
        "mp_id": "mp-30",
        "n": 3,
    }


def test_area_is_that_of_a_and_b():
    assert record(cell=np.array([[2.0, 0, 0], [1.0, 3.0, 0], [5.0, 5.0, 20.0]])).area_a2 == pytest.approx(6.0)
    assert record(cell=np.array([[0, 2.0, 0], [0, 0, 3.0], [20.0, 0, 0]])).area_a2 == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("numbers", "formula"),
    [
        ((29, 29, 29), "Cu"),
        ((8, 22, 8), "TiO2"),
        ((8, 8, 8, 26, 26), "Fe2O3"),
        ((11, 17, 11, 17), "NaCl"),
        ((17, 11), "NaCl"),
        ((7, 5), "BN"),
    ],
)
def test_element_is_the_reduced_formula(numbers, formula):
    assert record(numbers=numbers).element == formula


def test_element_does_not_depend_on_the_order_of_atoms():
    numbers = np.array([22] * 2 + [8] * 6 + [38] * 2)
    formulas = {record(numbers=RANDOM.permutation(numbers)).element for _ in range(8)}
    assert len(formulas) == 1


# Miller indices


@pytest.mark.parametrize(
    ("values", "hkl"),
    [
        ((1, 1, 0), (1, 1, 0)),
        ([0, 0, 0, 1], (0, 0, 1)),
        ((1, 0, -1, 0), (1, 0, 0)),
        ((1, 0, -1, 2), (1, 0, 2)),
        ((-1, 2, -1, 0), (-1, 2, 0)),
        (np.array([2, 2, 1]), (2, 2, 1)),
    ],
)
def test_miller_index(values, hkl):
    reduced = reduce_miller_index(values)
    assert reduced == hkl
    assert all(type(index) is int for index in reduced)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ((0, 0, 0), "0 0 0 is no plane"),
        ((0, 0, 0, 0), "0 0 0 is no plane"),
        ((1, 0, 1, 0), r"i must be -\(h \+ k\); got \[1, 0, 1, 0\]"),
        ((1, 1), "three whole numbers are needed"),
        ((1, 1, 1, -2, 0), "three whole numbers are needed"),
        ((), "three whole numbers are needed"),
    ],
)
def test_no_miller_index(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        reduce_miller_index(values)


# checks


@pytest.mark.parametrize("structure_id", ["Cu-1", "mp-30_111.0", "a" * 200, "Cu(111)", "x:y/z@w+#[1,2]"])
def test_good_ids(structure_id):
    assert check_structure_id(structure_id) is None


@pytest.mark.parametrize(
    ("structure_id", "sentence"),
    [
        (None, "is missing"),
        (7, "is read as the int 7, not as text"),
        (1e5, "is read as the float 100000.0, not as text"),
        (True, "is read as the bool True, not as text"),
        (np.array([1, 2]), "is read as the ndarray [1 2], not as text"),
        ("", "must be 1 to 200 letters"),
        ("a b", "without blanks"),
        ("a\n", "without blanks"),
        ("a" * 201, "must be 1 to 200 letters"),
        ('a"', "must be 1 to 200 letters"),
        ("a=b", "must be 1 to 200 letters"),
        ("é", "must be 1 to 200 letters"),
    ],
)
def test_bad_ids(structure_id, sentence):
    assert sentence in check_structure_id(structure_id)


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (record(numbers=(), positions=np.zeros((0, 3))), "has no atoms"),
        (record(cell=np.full((3, 3), np.nan)), "Lattice has entries that are no finite numbers"),
        (record(cell=np.diag([1.0, 1.0, np.inf])), "Lattice has entries that are no finite numbers"),
        (record(cell=np.diag([3.0, 3.0, 0.0])), "Lattice has no volume"),
        (record(cell=np.ones((3, 3))), "Lattice has no volume"),
        (record(cell=np.diag([3.0, 3.0, -3.0])), "Lattice is left-handed"),
        (record(positions=np.array([[0, 0, 0], [0, np.nan, 0]])), "positions: atom 1 has a coordinate"),
        (record(positions=np.array([[-np.inf, 0, 0], [0, 0, 0]])), "positions: atom 0 has a coordinate"),
        (record(pbc=(True, True, False)), "pbc must be true"),
        (record(numbers=(29, 0)), "species: an atom is no chemical element"),
        (record(numbers=(29, 119)), "species: an atom is no chemical element"),
        (record(dft_energy=float("nan")), "dft_energy is not a finite number (nan)"),
        (record(dft_surface_energy=float("inf")), "dft_surface_energy is not a finite number (inf)"),
    ],
)
def test_geometry(item, sentence):
    assert check_geometry(item).startswith(sentence)


def test_good_geometry():
    assert check_geometry(record(dft_energy=-1.0)) is None


def test_surface_record_with_and_without_references():
    assert check_surface_record(slab(), references=True) is None
    assert check_surface_record(slab(dft_energy=None, dft_surface_energy=1.0), references=True) is None
    assert "both missing" in check_surface_record(slab(dft_energy=None), references=True)
    assert check_surface_record(slab(dft_energy=None), references=False) is None
    assert "dft_energy (eV) is missing" in check_surface_record(record(role="bulk"), references=True)
    assert check_surface_record(record(role="bulk"), references=False) is None
    assert check_surface_record(record(role="BULK"), references=False).startswith("role must be")
    assert check_surface_record(slab(bulk_id=None), references=False).startswith("bulk_id is missing")
    assert check_surface_record(slab(miller_index=None), references=False).startswith("miller_index is missing")


def check(*records):
    check_surface_set([r.row() for r in records], {r.structure_id: frozenset(r.numbers.tolist()) for r in records})


BULK_RECORD = record("b", role="bulk", dft_energy=-8.0)


def test_surface_set():
    check(BULK_RECORD, slab())
    check(slab(), BULK_RECORD)  # the order does not matter


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ([], "at least one bulk and one slab"),
        ([BULK_RECORD], "at least one bulk and one slab"),
        ([slab()], "at least one bulk and one slab"),
        ([BULK_RECORD, slab(bulk_id="c")], r"frame 1 \(s\): bulk_id 'c' is not in the set"),
        ([BULK_RECORD, slab(), slab(structure_id="t", bulk_id="s")], r"frame 2 \(t\): bulk_id 's' is a slab itself"),
        ([slab(numbers=(29, 28)), BULK_RECORD], r"frame 0 \(s\): bulk_id 'b' is a bulk of other elements"),
    ],
)
def test_no_surface_set(records, sentence):
    with pytest.raises(StructureSetError, match=sentence):
        check(*records)


def test_describe_frame():
    assert describe_frame(3) == "frame 3"
    assert describe_frame(0, "Cu-1") == "frame 0 (Cu-1)"
