"""PredictParser on real outputs that were altered by hand: each fault has its exit code and its sentence."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from aiida.orm import FolderData
from aiida.plugins import ParserFactory

PART = "parts/000000.jsonl"
ARRAYS = "parts/000000.npz"


@pytest.fixture
def outputs(predicted):
    """Return the files that a real job left, to be altered."""
    repository = predicted.outputs.retrieved.base.repository
    names = [str(root / name) for root, _, files in repository.walk() for name in files]
    return {name: repository.get_object_content(name, mode="rb") for name in names}


@pytest.fixture
def parse(predicted, monkeypatch):
    """Return a function that parses files as if the real job had left them: ``parse(files, scheduler=None)``."""

    def parser(files, scheduler=None):
        retrieved = FolderData()
        for name, content in files.items():
            retrieved.base.repository.put_object_from_filelike(io.BytesIO(content), name)
        instance = ParserFactory("surfbench.predict")(predicted)
        monkeypatch.setattr(type(instance), "retrieved", property(lambda self: retrieved))
        if scheduler is not None:
            monkeypatch.setattr(type(predicted), "exit_status", property(lambda self: scheduler))
            monkeypatch.setattr(type(predicted), "exit_message", property(lambda self: "the walltime is over"))
        return instance.outputs, instance.parse()

    return parser


def lines(files):
    return files[PART].decode().splitlines(keepends=True)


def altered(files, **changes):
    """Return the files with results.json changed."""
    results = json.loads(files["results.json"])
    results.update(changes)
    return {**files, "results.json": json.dumps(results).encode()}


def test_unaltered_outputs_are_parsed(parse, outputs, predicted):
    found, exit_code = parse(outputs)
    assert exit_code is None
    assert found["predictions"].rows() == predicted.outputs.predictions.rows()
    assert len(found["predictions"].get_arrays("forces")) == 18


def test_recorded_outputs_are_what_the_contract_says(outputs):
    assert {"results.json", "heartbeat.json", PART, ARRAYS, "runner.err", "runner.out"} <= set(outputs)


def test_missing_results_mention_the_last_line_of_stderr(parse, outputs):
    del outputs["results.json"]
    outputs["runner.err"] = b"loading\nBus error (core dumped) \xff\n\n"
    found, exit_code = parse(outputs)
    assert exit_code.status == 310
    assert "Bus error (core dumped)" in exit_code.message
    assert "loading" not in exit_code.message
    assert "verdi calcjob" in exit_code.message
    assert found["predictions"].n_ok == 18  # what came is kept


def test_missing_results_and_silent_stderr(parse):
    found, exit_code = parse({"runner.err": b""})
    assert exit_code.status == 310
    assert "its stderr is empty" in exit_code.message
    assert "predictions" not in found
    assert parse({})[1].status == 310


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no JSON"),
        (b'{"schema_version": 1, "status"', "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[1, 2]", "no JSON object"),
        (b"null", "no JSON object"),
        (b"{}", "schema_version"),
        (b'{"schema_version": "one"}', "schema_version"),
        (b'{"schema_version": 2, "status": "ok"}', "schema version 2, this program knows 1"),
        (b'{"schema_version": 1}', "the status None"),
        (b'{"schema_version": 1, "status": "fine"}', "the status 'fine'"),
        (b'{"schema_version": 1, "status": "failed", "error": null}', "not why"),
        (b'{"schema_version": 1, "status": "failed", "error": {"code": "unexpected"}}', "not why"),
    ],
)
def test_unreadable_results(parse, outputs, content, words):
    found, exit_code = parse({**outputs, "results.json": content})
    assert exit_code.status == 311
    assert "results.json" in exit_code.message
    assert words in exit_code.message
    assert found["predictions"].n_ok == 18


def with_part(files, change):
    """Return the files with the content of the part changed."""
    return {**files, PART: change(files[PART])}


def with_energy(files, value):
    """Return the files with the first energy replaced."""
    return with_part(files, lambda content: re.sub(rb'"energy": [-0-9.e]+', b'"energy": ' + value, content, count=1))


def flip(content):
    """Return bytes with one in the middle changed."""
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 0xFF
    return bytes(changed)


def npz(**arrays):
    """Return the bytes of an npz file."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


OTHERS = {"structure_id": np.array(["Cu-111"]), "n_atoms": np.array([4]), "forces": np.zeros((4, 3))}
FAULTS = {
    "truncated": (lambda files: with_part(files, lambda content: content[:-20]), "line 18 is no result"),
    "garbled": (lambda files: with_part(files, lambda content: b"\x00\xff" + content[2:]), "line 1 is no result"),
    "no result": (
        lambda files: with_part(files, lambda content: content + b'{"energy": 1.0}\n'),
        "line 19 is no result",
    ),
    "a list": (lambda files: with_part(files, lambda content: content + b"[1]\n"), "line 19 is no result"),
    "unhashable id": (
        lambda files: with_part(files, lambda content: content + b'{"structure_id": ["x"], "status": "ok"}\n'),
        "line 19 is no result",
    ),
    "twice": (
        lambda files: with_part(files, lambda content: content + lines(files)[0].encode()),
        "line 19 answers a second time for 'Ag-bulk'",
    ),
    "twice in two parts": (
        lambda files: {**files, "parts/000001.jsonl": lines(files)[0].encode(), "parts/000001.npz": files[ARRAYS]},
        "000001.jsonl answers a second time for 'Ag-bulk'",
    ),
    "stranger": (
        lambda files: with_part(files, lambda content: content.replace(b'"Cu-111"', b'"Xx-999"')),
        "holds 'Xx-999', which was not asked for",
    ),
    "no energy": (lambda files: with_energy(files, b"null"), "line 1 is no result"),
    "not a number": (lambda files: with_energy(files, b"NaN"), "line 1 is no result"),
    "truncated arrays": (lambda files: {**files, ARRAYS: files[ARRAYS][:-100]}, "000000.npz cannot be read"),
    "flipped arrays": (lambda files: {**files, ARRAYS: flip(files[ARRAYS])}, "000000.npz"),
    "no arrays": (
        lambda files: {name: content for name, content in files.items() if name != ARRAYS},
        "000000.npz is missing",
    ),
    "arrays without stress": (lambda files: {**files, ARRAYS: npz(**OTHERS)}, "no sound stress"),
    "arrays of others": (
        lambda files: {**files, ARRAYS: npz(**OTHERS, stress=np.zeros((1, 6)))},
        "other structures than its jsonl",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_unreadable_parts(parse, outputs, fault):
    damage, words = FAULTS[fault]
    found, exit_code = parse(damage(outputs))
    assert exit_code.status == 311
    assert "parts/" in exit_code.message
    assert words in exit_code.message
    assert ("predictions" in found) is (fault == "twice in two parts")  # the sound part is kept


def split(files, at):
    """Return the files with the first lines in one part and the rest in another; no arrays."""
    rows = lines(files)
    kept = {name: content for name, content in files.items() if not name.startswith("parts/")}
    return kept, "".join(rows[:at]).encode(), "".join(rows[at:]).encode()


@pytest.fixture
def energy_only(predicted, monkeypatch):
    """Let the job have asked for energies only, so that parts need no arrays."""
    original = type(predicted).inputs.fget if hasattr(type(predicted).inputs, "fget") else None
    assert original is not None
    from aiida.orm import Dict

    class Inputs:
        def __init__(self, real):
            self._real = real

        def __getattr__(self, name):
            return Dict({}) if name == "options" else getattr(self._real, name)

        def __contains__(self, name):
            return name in self._real

    monkeypatch.setattr(type(predicted), "inputs", property(lambda self: Inputs(original(self))))


@pytest.mark.usefixtures("energy_only")
def test_two_parts_are_merged_in_the_order_of_the_set(parse, outputs, dataset):
    kept, first, second = split(outputs, 7)
    found, exit_code = parse({**kept, "parts/000000.jsonl": second, "parts/000001.jsonl": first})
    assert exit_code is None
    assert [row["structure_id"] for row in found["predictions"].rows()] == dataset.ids


@pytest.mark.usefixtures("energy_only")
def test_unfinished_part_is_passed_over(parse, outputs):
    """The runner renames npz before jsonl: an npz alone is of a part that was not finished, and so is *.tmp."""
    kept, first, second = split(outputs, 7)
    files = {**kept, "parts/000000.jsonl": first + second, "parts/000001.npz": b"half", "parts/000001.jsonl.tmp": b"{"}
    found, exit_code = parse(files)
    assert exit_code is None
    assert found["predictions"].n_ok == 18


@pytest.mark.usefixtures("energy_only")
def test_too_few_answers(parse, outputs):
    kept, first, _ = split(outputs, 7)
    found, exit_code = parse({**kept, "parts/000000.jsonl": first})
    assert exit_code.status == 312
    assert "7 of 18 structures" in exit_code.message
    assert "its own count is 18" in exit_code.message
    assert found["predictions"].n_ok == 7


@pytest.mark.usefixtures("energy_only")
def test_sound_parts_are_kept_beside_a_damaged_one(parse, outputs):
    kept, first, second = split(outputs, 7)
    found, exit_code = parse({**kept, "parts/000000.jsonl": first[:-9], "parts/000001.jsonl": second})
    assert exit_code.status == 311
    assert "000000.jsonl" in exit_code.message
    assert found["predictions"].n_ok == 11


@pytest.mark.usefixtures("energy_only")
def test_partial_predictions_of_a_failed_job_are_attached(parse, outputs):
    kept, first, _ = split(outputs, 7)
    error = {"code": "out_of_memory", "message": "The memory did not suffice."}
    found, exit_code = parse(altered({**kept, "parts/000000.jsonl": first}, status="failed", error=error))
    assert exit_code.status == 430
    assert exit_code.message == "The memory did not suffice."
    assert exit_code.invalidates_cache
    assert found["predictions"].n_ok == 7


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("bad_job", 210),
        ("not_available", 211),
        ("structures_unreadable", 220),
        ("family_not_installed", 410),
        ("environment_changed", 411),
        ("device_unavailable", 412),
        ("weights_missing", 420),
        ("weights_altered", 421),
        ("weights_untrusted", 422),
        ("potential_unreadable", 423),
        ("out_of_memory", 430),
        ("unexpected", 490),
        ("something of the future", 490),
    ],
)
def test_every_error_of_the_runner_has_its_exit_code(parse, outputs, error, status):
    _, exit_code = parse(altered(outputs, status="failed", error={"code": error, "message": "Here is why."}))
    assert exit_code.status == status
    assert "Here is why." in exit_code.message


@pytest.mark.parametrize("fault", ["none", "results", "garbled", "error"])
def test_what_the_scheduler_found_is_not_overwritten(parse, outputs, fault):
    if fault == "results":
        del outputs["results.json"]
    elif fault == "garbled":
        outputs = FAULTS["garbled"][0](outputs)
    elif fault == "error":
        outputs = altered(outputs, status="failed", error={"code": "unexpected", "message": "x"})
    found, exit_code = parse(outputs, scheduler=120)
    assert exit_code.status == 120
    assert exit_code.message == "the walltime is over"
    assert ("predictions" in found) is (fault != "garbled")


def test_no_usable_structure(parse, outputs):
    rows = [json.loads(line) for line in lines(outputs)]
    failed = [{**row, "status": "failed", "reason": f"no {row['structure_id']}", "energy": None} for row in rows]
    empty = np.array([], dtype=np.str_), np.array([], dtype=int), np.zeros((0, 3)), np.zeros((0, 6))
    arrays = npz(**dict(zip(("structure_id", "n_atoms", "forces", "stress"), empty, strict=True)))
    files = {**outputs, PART: "".join(json.dumps(row) + "\n" for row in failed).encode(), ARRAYS: arrays}
    found, exit_code = parse(files)
    assert exit_code.status == 501
    assert "None of the 18 structures" in exit_code.message
    assert "no Ag-bulk" in exit_code.message
    assert found["predictions"].n_failed == 18
    assert found["predictions"].get_arrays("stress") == {}
