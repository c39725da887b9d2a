"""The job folder: what comes out of good jobs, and the sentence and code for each bad one."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators import emt

from aiida_surfbench.runner import parts, predict
from aiida_surfbench.runner.__main__ import main
from aiida_surfbench.runner.contract import FAMILIES_NOT_YET

from .conftest import EMT, M3GNET, named, potential_of, rattled, records_of, results_of, small_set

FRAME = '1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3 structure_id={} pbc="T T T"\nCu 0 0 0\n'


def refused(job: Path, code: str, *words: str, capsys: Any = None) -> dict[str, Any]:
    """Run a predict job that must fail with ``code`` and a sentence holding ``words``."""
    assert main(["predict", str(job)]) == 1
    results = results_of(job)
    assert results["status"] == "failed"
    assert results["error"]["code"] == code, results["error"]
    for word in words:
        assert word in results["error"]["message"]
    if capsys is not None:
        stderr = capsys.readouterr().err
        assert results["error"]["message"] in stderr
        assert "Traceback" not in stderr
    return results


def test_energies(job_folder):
    structures = small_set()
    job = job_folder(structures, n_structures=4)
    assert main(["predict", str(job)]) == 0
    results, records = results_of(job), records_of(job)
    assert results["status"] == "ok"
    assert results["error"] is None
    assert (results["n_structures"], results["n_ok"], results["n_failed"]) == (4, 4, 0)
    assert results["algorithm_version"] == 1
    assert results["device"] == "cpu"
    assert results["environment"]["packages"]["ase"]
    assert set(results["timings"]) == {"import_s", "load_s", "predict_s", "total_s"}
    assert results["peak_memory_mb"] > 10
    assert list(records) == [atoms.info["structure_id"] for atoms in structures]
    assert set(records["cu"]) == {"structure_id", "status", "reason", "n_atoms", "energy"}
    heartbeat = json.loads((job.parent / "heartbeat.json").read_text())
    assert (heartbeat["done"], heartbeat["total"], heartbeat["n_failed"]) == (4, 4, 0)
    assert not list((job.parent / "parts").glob("*.npz"))
    assert not list(job.parent.rglob("*.tmp"))


def test_forces_and_stress_layout(job_folder):
    structures = small_set()
    structures.insert(1, named(bulk("Mg"), "not-emt"))
    job = job_folder(structures, options={"properties": ["energy", "forces", "stress"]})
    assert main(["predict", str(job)]) == 0
    good = [structures[0], *structures[2:]]
    with np.load(job.parent / "parts" / "000000.npz", allow_pickle=False) as content:
        assert list(content["structure_id"]) == [atoms.info["structure_id"] for atoms in good]
        assert list(content["n_atoms"]) == [len(atoms) for atoms in good]
        assert content["forces"].shape == (sum(map(len, good)), 3)
        assert content["stress"].shape == (len(good), 6)
        forces = np.split(content["forces"], np.cumsum(content["n_atoms"])[:-1])
    for atoms, item in zip(good, forces, strict=True):
        atoms.calc = emt.EMT()
        np.testing.assert_allclose(item, atoms.get_forces(), atol=1e-5)  # the file keeps 8 decimals


def test_bad_structures_are_counted_and_the_job_is_good(job_folder):
    structures = small_set()
    nan = named(rattled("Cu", 7), "nan-position")
    nan.positions[0, 0] = np.nan
    flat = named(bulk("Cu"), "nan-cell")
    flat.cell[0, 0] = np.nan
    near = named(rattled("Cu", 8), "coincident")
    near.positions[1] = near.positions[0]
    open_ = named(bulk("Cu"), "no-pbc")
    open_.pbc = (True, True, False)
    alone = named(Atoms("Cu", cell=[9, 9, 9], pbc=True), "isolated")
    po = named(bulk("Po", "sc", a=3.35), "po")
    empty = named(Atoms(cell=[3, 3, 3], pbc=True), "empty")
    gold_missing = named(bulk("Mg"), "model-refuses")
    bad = [nan, flat, near, open_, alone, po, empty, gold_missing]
    potential = {**EMT, "elements": ["Cu", "Al", "Au", "Mg"]}
    job = job_folder([bad[0], *structures[:2], *bad[1:], *structures[2:]], potential=potential)
    assert main(["predict", str(job)]) == 0
    records, results = records_of(job), results_of(job)
    assert (results["n_structures"], results["n_ok"], results["n_failed"]) == (12, 4, 8)
    for atoms in bad:
        record = records[atoms.info["structure_id"]]
        assert record["status"] == "failed"
        assert record["energy"] is None
        assert record["reason"]
    assert records["po"]["reason"] == "the potential was not made for Po"
    assert "cutoff of 6.0 Å" in records["isolated"]["reason"]
    assert "No EMT-potential for Mg" in records["model-refuses"]["reason"]
    for atoms in structures:
        assert records[atoms.info["structure_id"]]["status"] == "ok"


def test_a_calculator_that_broke_on_one_structure_serves_the_next(job_folder):
    # ASE's EMT answers "no attribute 'nl'" after it refused an element; only the guilty structure may fail.
    structures = [named(bulk("Mg"), "mg"), *small_set()]
    for budget in (1, 1000):
        job = job_folder(structures, execution={"batch_atoms": budget})
        assert main(["predict", str(job)]) == 0
        records = records_of(job)
        assert records["mg"]["reason"].startswith("NotImplementedError")
        assert [record["status"] for record in records.values()] == ["failed", "ok", "ok", "ok", "ok"]


class Greedy:
    """Runs out of memory above one structure, and always with gold."""

    cutoff = None
    elements = None
    dtype = "native"

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def predict(self, structures: list[Atoms], properties: list[str]) -> list[dict[str, Any]]:
        self.sizes.append(len(structures))
        if len(structures) > 1 or "Au" in structures[0].symbols:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return [{"energy": 1.0}]

    def calculator(self) -> None:
        return None


def test_out_of_memory_halves_the_batch(capsys):
    greedy = Greedy()
    outcomes = predict.outcomes_of(greedy, ["energy"], small_set())
    assert greedy.sizes == [4, 2, 1, 1, 2, 1, 1]
    assert outcomes[:3] == [{"energy": 1.0}] * 3
    assert str(outcomes[3]).startswith("out of memory (RuntimeError: DefaultCPUAllocator")
    assert "halving" in capsys.readouterr().err


def test_parts_and_a_second_start(job_folder, monkeypatch):
    monkeypatch.setattr(parts, "PART_STRUCTURES", 2)
    job = job_folder()
    folder = job.parent / "parts"
    assert main(["predict", str(job)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["000000.jsonl", "000001.jsonl"]
    monkeypatch.undo()
    (folder / "mine.txt").write_text("kept")
    assert main(["predict", str(job)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["000000.jsonl", "mine.txt"]
    assert len(records_of(job)) == 4


def test_constraints_and_charges_in_the_file_change_nothing(job_folder):
    from ase.constraints import FixAtoms

    free, fixed = rattled("Cu", 9), rattled("Cu", 9)
    fixed.set_constraint(FixAtoms([0, 1]))
    job = job_folder([named(free, "free"), named(fixed, "fixed")], options={"properties": ["energy", "forces"]})
    assert main(["predict", str(job)]) == 0
    with np.load(job.parent / "parts" / "000000.npz") as content:
        first, second = np.split(content["forces"], 2)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"schema_version": 2}, "bad_job", "schema version 2"),
        ({"schema_version": None}, "bad_job", "schema_version"),
        ({"command": "describe"}, "bad_job", "describe"),
        ({"colour": 1}, "bad_job", "colour"),
        ({"options": {"colour": 1}}, "bad_job", "colour"),
        ({"options": {"properties": ["forces"]}}, "bad_job", "options.properties"),
        ({"options": {"geometry": "relax_ions"}}, "bad_job", "options.geometry"),
        ({"options": {"dtype": "float64"}}, "not_available", "native"),
        ({"execution": {"device": "tpu"}}, "bad_job", "execution.device"),
        ({"execution": {"batch_atoms": 0}}, "bad_job", "execution.batch_atoms"),
        ({"execution": []}, "bad_job", "execution"),
        ({"structures": "../x"}, "bad_job", "structures"),
        ({"structures": "absent.extxyz"}, "structures_unreadable", "absent.extxyz"),
        ({"n_structures": "4"}, "bad_job", "n_structures"),
        ({"n_structures": 5}, "structures_unreadable", "holds 4 structures, the job announces 5"),
        ({"potential": None}, "bad_job", "potential"),
        ({"potential": {"family": "magic"}}, "bad_job", "chgnet"),
        ({"potential": {"family": FAMILIES_NOT_YET[0]}}, "not_available", "not available in this version"),
        ({"potential": {**EMT, "colour": 1}}, "bad_job", "colour"),
        ({"potential": {**EMT, "elements": "Cu"}}, "bad_job", "potential.elements"),
        ({"potential": {**EMT, "files": {"w": {"path": "../w"}}}}, "bad_job", "potential.files['w'].path"),
        ({"potential": {**EMT, "files": {"w": {"path": "w", "sha256": "abc"}}}}, "bad_job", "sha256"),
        ({"potential": {**EMT, "files": {"w": {"path": "/w", "package": "ase"}}}}, "bad_job", "path"),
        ({"potential": {**EMT, "files": {"w": {"path": "w"}}}}, "weights_missing", "w is not readable"),
        ({"potential": {**EMT, "files": {"w": {"path": "w", "package": "nosuch"}}}}, "weights_missing", "nosuch"),
        ({"potential": {"family": "ase"}}, "bad_job", "potential.config.factory"),
        ({"potential": {"family": "ase", "config": {"factory": "nosuch.m:f"}}}, "family_not_installed", "nosuch"),
        ({"potential": {"family": "ase", "config": {"factory": "ase.build:nosuch"}}}, "potential_unreadable", "nosuch"),
        ({"potential": {"family": "ase", "config": {"factory": "builtins:dict"}}}, "potential_unreadable", "dict"),
        (
            {
                "potential": {
                    "family": "ase",
                    "config": {"factory": "ase.calculators.emt:EMT", "kwargs": {"x": {"$file": "w"}}},
                }
            },
            "bad_job",
            "'w'",
        ),
        ({"environment": {"packages": 3}}, "bad_job", "environment.packages"),
    ],
)
def test_bad_jobs(job_folder, capsys, changes, code, words):
    refused(job_folder(**changes), code, words, capsys=capsys)


def test_no_json_and_no_file(job_folder, tmp_path, capsys):
    job = job_folder()
    job.write_text("{")
    refused(job, "bad_job", "no JSON", capsys=capsys)
    refused(tmp_path / "other.json", "bad_job", "cannot be read", capsys=capsys)
    assert main(["predict", "/nosuch/job.json"]) == 1
    assert "bad_job" in capsys.readouterr().err


def test_usage(capsys):
    for arguments in ([], ["predict"], ["dance", "job.json"]):
        assert main(arguments) == 2
        assert capsys.readouterr().err.strip().count("\n") == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no structure"),
        (FRAME.format("a") + FRAME.format("b")[:-9], "frame 2 is truncated: it announces 1 atoms and has 0"),
        (FRAME.format("007"), "read as np.int64(7) instead of as text; put a letter in front"),
        (FRAME.format("a") + FRAME.format("1e5"), "frame 2"),
        (FRAME.format("T"), "put a letter in front"),
        (FRAME.replace("structure_id={}", "x=1"), "frame 1 has no structure_id"),
        (FRAME.format("a") + FRAME.format("b") + FRAME.format("a"), "frames 1 and 3 have the same structure_id 'a'"),
        (FRAME.format("a") + "\n" + FRAME.format("b"), "blank line before frame 2"),
        ("rubbish\n", "frame 1 must begin with its number of atoms"),
        (FRAME.format("a").replace("Cu 0 0 0", "Cu 0 zero 0"), "frame 1 (a) cannot be read"),
        (FRAME.format("a").replace("Cu 0 0 0", "Qq 0 0 0"), "frame 1 (a) cannot be read"),
    ],
)
def test_unreadable_structures(job_folder, capsys, text, words):
    refused(job_folder(text), "structures_unreadable", words, capsys=capsys)


def test_blank_lines_at_the_end_are_no_fault(job_folder):
    assert main(["predict", str(job_folder(FRAME.format("a") + "\n\n"))]) == 0


def test_predictions_before_an_unreadable_frame_stay(job_folder):
    job = job_folder(FRAME.format("a") + FRAME.format("b").replace("Cu 0 0 0", "Cu 0 zero 0"))
    results = refused(job, "structures_unreadable", "frame 2 (b)")
    assert (results["n_ok"], results["n_structures"]) == (1, 1)
    assert list(records_of(job)) == ["a"]


def test_altered_weights_name_both_digests(job_folder):
    job = job_folder()
    (job.parent / "w").write_text("weights")
    digest, other = hashlib.sha256(b"weights").hexdigest(), "0" * 64
    files = {"w": {"path": "w", "sha256": other}}
    refused(job_folder(potential={**EMT, "files": files}), "weights_altered", digest, other)
    files["w"]["sha256"] = digest
    job = job_folder(potential={**EMT, "files": files})
    assert main(["predict", str(job)]) == 0
    assert results_of(job)["weights"] == {"w": digest}


def test_environment_changed(job_folder):
    job = job_folder()
    assert main(["predict", str(job)]) == 0
    found = results_of(job)["environment"]
    assert main(["predict", str(job_folder(environment=found))]) == 0
    changed = json.loads(json.dumps(found))
    changed["packages"].update(numpy="0.1", tblite="1.0", unrelated="9")
    changed["device_class"] = "NVIDIA X"
    job = job_folder(environment=changed)
    message = refused(job, "environment_changed", "numpy was 0.1", "Describe the code again")["error"]["message"]
    assert "tblite was 1.0 and is not installed" in message
    assert "device_class was NVIDIA X and is cpu" in message
    assert "unrelated" not in message


def test_no_gpu(job_folder):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    refused(job_folder(execution={"device": "cuda"}), "device_unavailable", "sees no GPU")


def test_unexpected_errors_keep_their_traceback(job_folder, capsys, monkeypatch):
    def broken(*_: Any) -> int:
        raise KeyError("a fault of the runner")

    monkeypatch.setattr("aiida_surfbench.runner.structures.scan", broken)
    job = job_folder()
    assert main(["predict", str(job)]) == 1
    assert results_of(job)["error"] == {"code": "unexpected", "message": "KeyError: 'a fault of the runner'"}
    assert "Traceback" in capsys.readouterr().err


class Malicious:
    """A pickle that runs code when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def chgnet_file(path: Path, content: Any) -> dict[str, Any]:
    """Store ``content`` as a checkpoint; returns the ``potential`` of a job."""
    torch = pytest.importorskip("torch")
    potential_of("chgnet")
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    return {"family": "chgnet", "files": {"x.pth.tar": {"path": path.name}}}


def test_a_pickle_is_not_run_unless_trusted(job_folder, tmp_path):
    target = tmp_path / "was-run"
    for content in ({"model": Malicious(target)}, pickle.dumps({"model": Malicious(target)})):
        potential = chgnet_file(tmp_path / "x.pth.tar", content)
        digest = hashlib.sha256((tmp_path / "x.pth.tar").read_bytes()).hexdigest()
        refused(job_folder(potential=potential), "weights_untrusted", f"--trust {digest}")
        assert not target.exists()
    refused(job_folder(potential={**potential, "trusted": [digest]}), "potential_unreadable")
    assert target.exists()


@pytest.mark.parametrize(
    "content",
    [b"no checkpoint at all", b"PK\x03\x04 truncated", {"weights": 1}, {"model": {"state_dict": {}, "model_args": {}}}],
)
def test_a_file_that_is_no_model(job_folder, tmp_path, content):
    potential = chgnet_file(tmp_path / "x.pth.tar", content)
    refused(job_folder(potential=potential), "potential_unreadable", "x.pth.tar")


def test_needed_files_are_named(job_folder):
    potential_of("chgnet")
    refused(job_folder(potential={"family": "chgnet"}), "bad_job", "*.pth.tar")


def copy_of_m3gnet(folder: Path) -> dict[str, Any]:
    potential = potential_of("m3gnet")
    for name in potential["files"]:
        shutil.copyfile(M3GNET / name, folder / name)
        potential["files"][name] = {"path": name}
    return potential


def test_m3gnet_of_a_foreign_module_is_refused(job_folder, tmp_path):
    torch = pytest.importorskip("torch")
    potential = copy_of_m3gnet(tmp_path)
    arguments = torch.load(tmp_path / "model.pt", map_location="cpu", weights_only=True)
    arguments["model"].update({"@module": "subprocess", "@class": "Popen", "init_args": {"args": ["touch", "was-run"]}})
    torch.save(arguments, tmp_path / "model.pt")
    refused(job_folder(potential=potential), "potential_unreadable", "'subprocess', which is not matgl's")
    assert not (tmp_path / "was-run").exists()
    potential = copy_of_m3gnet(tmp_path)
    description = json.loads((tmp_path / "model.json").read_text())
    description["@module"] = "os"
    (tmp_path / "model.json").write_text(json.dumps(description))
    refused(job_folder(potential=potential), "potential_unreadable", "'os'")
    description["@module"] = "matgl.apps.pes"
    description["kwargs"]["model"]["@class"] = "TensorNet"
    (tmp_path / "model.json").write_text(json.dumps(description))
    refused(job_folder(potential=potential), "potential_unreadable", "TensorNet")
