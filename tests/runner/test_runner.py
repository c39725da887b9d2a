"""The zipapp as it travels: built twice alike, and run by hand in an empty folder."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from aiida_surfbench.runner import build
from aiida_surfbench.runner.__main__ import main
from aiida_surfbench.runner.build import build_runner
from aiida_surfbench.runner.contract import FAMILIES

from .conftest import records_of, results_of


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "runner.pyz", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_equal_bytes_whatever_the_times_and_permissions(tmp_path, monkeypatch):
    first = build_runner()
    assert first == build_runner()
    source = Path(build.__file__).parent
    for path in source.rglob("*.py"):
        copy = tmp_path / path.relative_to(source)
        copy.parent.mkdir(exist_ok=True, parents=True)
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o600)
        os.utime(copy, (1, 1))
    monkeypatch.setattr(build, "__file__", str(tmp_path / "build.py"))
    assert build_runner() == first


def test_contents():
    with zipfile.ZipFile(io.BytesIO(build_runner())) as archive:
        names = archive.namelist()
    assert names == sorted(names)
    assert "__main__.py" in names
    assert "surfbench_runner/families/chgnet.py" in names
    assert not [name for name in names if "build.py" in name or "__pycache__" in name or "aiida" in name]


def test_predict_by_hand(job_folder):
    job = job_folder()
    (job.parent / "runner.pyz").write_bytes(build_runner())
    process = run(job.parent, "predict", "job.json")
    assert process.returncode == 0, process.stderr
    assert results_of(job)["n_ok"] == 4
    assert len(records_of(job)) == 4
    assert {path.name for path in job.parent.iterdir()} == {
        "runner.pyz", "job.json", "structures.extxyz", "parts", "results.json", "heartbeat.json"
    }  # fmt: skip


def test_wrong_arguments_by_hand(job_folder):
    job = job_folder(schema_version=99)
    (job.parent / "runner.pyz").write_bytes(build_runner())
    process = run(job.parent)
    assert (process.returncode, process.stderr.count("\n")) == (2, 1)
    process = run(job.parent, "predict", "job.json")
    assert process.returncode == 1
    assert "schema version 99" in process.stderr
    assert "Traceback" not in process.stderr


def test_describe_by_hand(job_folder):
    job = job_folder()
    job.write_text(json.dumps({"schema_version": 1, "command": "describe", "families": None}))
    (job.parent / "runner.pyz").write_bytes(build_runner())
    process = run(job.parent, "describe", "job.json")
    assert process.returncode == 0, process.stderr
    environment = results_of(job)["environment"]
    assert environment["device_class"] == "cpu"
    assert environment["packages"]["ase"] == environment["families"]["ase"]["version"]
    assert environment["families"]["ase"] == {
        "importable": True,
        "version": environment["packages"]["ase"],
        "reason": None,
    }
    for family in environment["families"].values():
        assert family["importable"] or family["reason"]
    assert set(environment["families"]) == set(FAMILIES)


def test_describe_from_the_source_tree(job_folder):
    job = job_folder()
    job.write_text(json.dumps({"schema_version": 1, "command": "describe", "families": ["ase"]}))
    assert main(["describe", str(job)]) == 0
    assert results_of(job)["environment"]["families"]["ase"]["importable"]
    job.write_text(json.dumps({"schema_version": 1, "command": "describe", "families": ["magic"]}))
    assert main(["describe", str(job)]) == 1
    assert results_of(job)["error"]["code"] == "bad_job"
