"""aiida-surfbench dataset: import, list, show, export, and what is refused."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from aiida_surfbench.formats.extxyz import read_structures


@pytest.fixture
def text(metal_records, write_set, tmp_path):
    """Return the text of a valid set of one bulk and two slabs: frames 0, 1, 2 begin in lines 0, 6, 12."""
    return write_set(tmp_path / "valid.extxyz", metal_records(("Cu",), shift=0.123)).read_text()


def test_import_show_list_export(invoke, mp_slabs, tmp_path, load_json):
    imported = invoke("dataset", "import", mp_slabs, "--label", "real-slabs")
    assert "332 slabs and 29 bulks of 15 elements" in imported.output
    shown = invoke("dataset", "show", "real-slabs").output
    assert "slabs 332, bulks 29, references yes" in shown
    assert "file: mp_slabs_15_elements.extxyz" in shown
    assert "Sr 47" in shown
    assert "332 slabs bring no total energy" in shown
    records = load_json(invoke("dataset", "list", "--format", "json").output)
    record = next(record for record in records if record["label"] == "real-slabs")
    assert (record["n_slabs"], record["n_bulks"], len(record["elements"])) == (332, 29, 15)
    assert record["sha256"] in shown
    for output_format, mark in (("csv", ","), ("markdown", "|"), ("rich", "real-slabs")):
        assert mark in invoke("dataset", "list", "--format", output_format).output

    exported = tmp_path / "exported.extxyz"
    assert "Wrote 361 structures" in invoke("dataset", "export", "real-slabs", exported).output
    for one, two in zip(read_structures(mp_slabs), read_structures(exported), strict=True):
        assert one.row() == two.row()
        assert np.array_equal(one.positions, two.positions)
        assert np.array_equal(one.cell, two.cell)
        assert np.array_equal(one.numbers, two.numbers)
    again = tmp_path / "again.extxyz"
    invoke("dataset", "export", record["uuid"], again)  # a uuid names it too
    assert again.read_bytes() == exported.read_bytes()


def test_export_of_an_import_of_an_export_is_the_same_file(invoke, metal_records, write_set, tmp_path):
    file = write_set(tmp_path / "one.extxyz", metal_records(("Pd",), shift=1 / 3))
    invoke("dataset", "import", file, "-l", "bitwise")
    invoke("dataset", "export", "bitwise", tmp_path / "two.extxyz")
    assert (tmp_path / "two.extxyz").read_bytes() == file.read_bytes()


def test_export_does_not_overwrite_unless_told(invoke, refuse, dataset, tmp_path):
    file = tmp_path / "there.extxyz"
    file.write_text("mine")
    sentence = refuse("dataset", "export", "metals", file)
    assert "exists" in sentence
    assert "--force" in sentence
    assert file.read_text() == "mine"
    invoke("dataset", "export", "metals", file, "--force")
    assert "structure_id=Cu-111" in file.read_text()
    assert "no folder" in refuse("dataset", "export", "metals", tmp_path / "nowhere" / "x.extxyz")
    assert "no dataset 'nobody'" in refuse("dataset", "export", "nobody", tmp_path / "y.extxyz")


def test_label_and_content_are_unique(invoke, refuse, metal_records, write_set, tmp_path):
    records = metal_records(("Ni",), shift=0.777)
    file = write_set(tmp_path / "set.extxyz", records)
    invoke("dataset", "import", file, "-l", "unique")
    assert "label 'unique' belongs to a dataset already" in refuse("dataset", "import", file, "-l", "unique")
    sentence = refuse("dataset", "import", write_set(tmp_path / "copy.extxyz", records[::-1]), "-l", "other")
    assert "in the profile already" in sentence
    assert "'unique'" in sentence
    assert "must not be empty" in refuse("dataset", "import", file, "-l", " ")


def test_set_without_references(invoke, refuse, metal_records, write_set, tmp_path):
    bare = [replace(record, dft_energy=None, dft_surface_energy=None) for record in metal_records(("Pd",))]
    file = write_set(tmp_path / "bare.extxyz", bare)
    assert "dft_energy (eV) is missing" in refuse("dataset", "import", file, "-l", "bare")
    invoke("dataset", "import", file, "-l", "bare", "--no-references")
    assert "references no" in invoke("dataset", "show", "bare").output


def change(text, old, new, frame):
    """Return the text with something replaced in one frame."""
    lines = text.splitlines(keepends=True)
    part = slice(6 * frame, 6 * frame + 6)
    changed = "".join(lines[part]).replace(old, new)
    assert changed != "".join(lines[part])
    return "".join([*lines[: 6 * frame], changed, *lines[6 * frame + 6 :]])


FAULTS = {
    "missing id": (1, "structure_id=Cu-111 ", "", "frame 1", "structure_id is missing"),
    "duplicate id": (2, "Cu-100", "Cu-111", "frame 2", "was used by frame 1 already"),
    "id that is a number": (1, "structure_id=Cu-111", "structure_id=007", "frame 1", "read as the int 7"),
    "id that is a float": (1, "structure_id=Cu-111", "structure_id=1e5", "frame 1", "read as the float"),
    "id that is a truth value": (1, "structure_id=Cu-111", "structure_id=T", "frame 1", "read as the bool"),
    "slab without bulk": (1, "bulk_id=Cu-bulk", "bulk_id=Cu-gone", "frame 1 (Cu-111)", "'Cu-gone' is not in the set"),
    "no bulk_id": (1, "bulk_id=Cu-bulk ", "", "frame 1 (Cu-111)", "bulk_id is missing"),
    "unknown role": (1, "role=slab", "role=surface", "frame 1 (Cu-111)", "role must be"),
    "two Miller indices": (1, 'miller_index="1 1 1"', 'miller_index="1 1"', "frame 1 (Cu-111)", "three whole numbers"),
    "Miller index of nothing": (1, '"1 1 1"', '"0 0 0"', "frame 1 (Cu-111)", "no plane"),
    "Miller index of text": (1, 'miller_index="1 1 1"', "miller_index=abc", "frame 1 (Cu-111)", "miller_index"),
    "Miller index of fractions": (1, '"1 1 1"', '"1.5 1 1"', "frame 1 (Cu-111)", "whole numbers"),
    "hkil that does not add up": (1, '"1 1 1"', '"1 1 1 1"', "frame 1 (Cu-111)", "i must be -(h + k)"),
    "no reference": (1, "dft_surface_energy=", "gamma=", "frame 1 (Cu-111)", "both missing"),
    "energy is not a number": (0, "dft_energy=", "dft_energy=nan x=", "frame 0 (Cu-bulk)", "dft_energy"),
    "pbc off": (1, 'pbc="T T T"', 'pbc="T T F"', "frame 1 (Cu-111)", "pbc must be true"),
    "no chemical element": (1, "Cu ", "Qq ", "frame 1", "no chemical element"),
    "another element's bulk": (0, "Cu ", "Au ", "frame 1 (Cu-111)", "bulk of other elements"),
    "computed column": (1, "role=slab", "role=slab n_atoms=4", "frame 1 (Cu-111)", "computed"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_refused_with_frame_and_field(refuse, text, tmp_path, fault):
    frame, old, new, where, words = FAULTS[fault]
    file = tmp_path / "faulty.extxyz"
    file.write_text(change(text, old, new, frame))
    sentence = refuse("dataset", "import", file, "-l", "faulty")
    assert str(file) in sentence
    assert where in sentence
    assert words in sentence
    assert "\n" not in sentence.strip()


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("0 0 0 0 0 0 0 0 0", "Lattice has no volume"),
        ("2.5 0 0 0 2.5 0 0 0 -20", "Lattice is left-handed"),
        ("2.5 0 0 0 2.5 0 0 0 nan", "Lattice has entries that are no finite numbers"),
    ],
)
def test_bad_cell_is_refused(refuse, text, tmp_path, cell, words):
    file = tmp_path / "faulty.extxyz"
    old = text.splitlines()[7].split('"')[1]
    file.write_text(text.replace(old, cell))
    sentence = refuse("dataset", "import", file, "-l", "faulty")
    assert words in sentence
    assert "frame 1 (Cu-111)" in sentence


def test_position_that_is_no_number_is_refused(refuse, text, tmp_path):
    lines = text.splitlines(keepends=True)
    lines[9] = "Cu 0.0 nan 0.0\n"
    (tmp_path / "faulty.extxyz").write_text("".join(lines))
    sentence = refuse("dataset", "import", tmp_path / "faulty.extxyz", "-l", "faulty")
    assert "frame 1 (Cu-111)" in sentence
    assert "atom 1" in sentence


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda text: "", "is empty"),
        (lambda text: text[: len(text) // 2], "frame 1: the file ends within"),
        (lambda text: text.replace("4\nLattice", "four\nLattice", 1), "frame 0: must begin with its number of atoms"),
        (lambda text: "4\n", "truncated"),
        (lambda text: "not extended XYZ\n", "must begin with its number of atoms"),
    ],
)
def test_file_that_is_no_structure_set_is_refused(refuse, text, tmp_path, content, words):
    file = tmp_path / "faulty.extxyz"
    file.write_text(content(text))
    sentence = refuse("dataset", "import", file, "-l", "faulty")
    assert words in sentence
    assert str(file) in sentence


def test_binary_file_folder_and_no_file_are_refused(refuse, tmp_path):
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    assert "no text" in refuse("dataset", "import", tmp_path / "binary", "-l", "x")
    assert "is not a file" in refuse("dataset", "import", tmp_path, "-l", "x")
    assert "is not a file" in refuse("dataset", "import", tmp_path / "nothing", "-l", "x")
    assert "Missing option '-l'" in refuse("dataset", "import", tmp_path / "nothing")


def test_show_of_what_is_not_there(refuse, emt):
    assert "no dataset 'nobody'" in refuse("dataset", "show", "nobody")
    assert "no dataset" in refuse("dataset", "show", emt.uuid)
    assert "no dataset" in refuse("dataset", "show", 999_999_999)


def test_list_as_csv_is_csv(invoke, dataset):
    rows = list(csv.DictReader(io.StringIO(invoke("dataset", "list", "--format", "csv").output)))
    row = next(row for row in rows if row["label"] == "metals")
    assert (row["n_slabs"], row["n_bulks"], row["uuid"]) == ("12", "6", dataset.uuid)
