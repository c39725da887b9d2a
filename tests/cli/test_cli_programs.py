"""The programs as a user starts them, each in an AiiDA folder of its own: the demo, a daemon, a fresh profile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

PYTHON = Path(sys.executable).parent


@pytest.fixture
def program(tmp_path, child_environment):
    """Return a function that runs a program in an AiiDA folder of its own and gives its finished process."""

    def run(name, *arguments, fails=False, environment=None):
        process = subprocess.run(
            [PYTHON / name, *[str(argument) for argument in arguments]],
            cwd=tmp_path,
            env=environment or child_environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert "Traceback" not in process.stdout + process.stderr, process.stderr
        assert (process.returncode != 0) is fails, process.stdout + process.stderr
        return process

    return run


def default_profile(folder):
    """Return the default profile of an AiiDA folder."""
    return json.loads((folder / ".aiida" / "config.json").read_text()).get("default_profile")


@pytest.fixture
def path_without_dot(tmp_path):
    """Return a PATH on which everything is but Graphviz."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for source in ("/usr/bin", "/bin", "/usr/local/bin"):
        for entry in os.scandir(source) if Path(source).is_dir() else ():
            if entry.name != "dot" and not (folder / entry.name).exists():
                (folder / entry.name).symlink_to(entry.path)
    return f"{PYTHON}{os.pathsep}{folder}"


@pytest.mark.usefixtures("chgnet_installed")
def test_demo(program, tmp_path, child_environment, path_without_dot):
    """A newcomer's first command: no profile at all, no Graphviz."""
    environment = child_environment(tmp_path, PATH=path_without_dot)
    begin = time.monotonic()
    process = program("aiida-surfbench", "demo", "--output", "out", environment=environment)
    assert time.monotonic() - begin < 240
    assert "BenchmarkWorkChain <" in process.stdout
    assert "chgnet-0.3.0" in process.stdout
    assert "RMSE" in process.stdout
    assert "Next" in process.stdout
    assert "ideal terminations" in process.stderr
    assert "`dot` is not installed" in process.stderr
    out = tmp_path / "out"
    assert (out / "parity.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "by_element.png").read_bytes().startswith(b"\x89PNG")
    graph = (out / "provenance.dot").read_text()
    for name in ("PredictCalculation", "SurfaceSetData", "PotentialData", "compute_metrics"):
        assert name in graph
    assert not (out / "provenance.svg").exists()
    assert default_profile(tmp_path) is None

    records = json.loads(program("aiida-surfbench", "-p", "surfbench-demo", "table", "--format", "json").stdout)
    (record,) = records
    assert record["potential"] == "chgnet-0.3.0"
    assert record["n_failed"] == 0
    assert record["n_slabs"] >= 36
    assert 0.05 < record["surface_energy_rmse_j_m2"] < 1.5
    assert record["slab_energy_derived"] is True
    sentence = program("aiida-surfbench", "table", fails=True).stderr
    assert "There is no default AiiDA profile" in sentence
    assert "verdi presto" in sentence


def test_demo_leaves_an_existing_default_profile_alone(program, tmp_path):
    program("verdi", "presto", "-n", "-p", "mine", "--email", "a@b.c")
    assert default_profile(tmp_path) == "mine"
    code = "from aiida_surfbench.ingestion import load_demo_profile; load_demo_profile()"
    for _ in range(2):
        program("python", "-c", code)
    assert default_profile(tmp_path) == "mine"
    names = json.loads((tmp_path / ".aiida" / "config.json").read_text())["profiles"]
    assert set(names) == {"mine", "surfbench-demo"}


def test_mistakes_without_a_profile(program):
    assert "later version" in program("aiida-surfbench", "demo", "--potential", "mace-mp-0-small", fails=True).stderr
    assert "did you mean" in program("aiida-surfbench", "demo", "--potential", "chgnet", fails=True).stderr
    sentence = program("aiida-surfbench", "-p", "nobody", "status", fails=True).stderr
    assert "profile 'nobody' cannot be loaded" in sentence
    assert "No such command 'fly'" in program("aiida-surfbench", "fly", fails=True).stderr
    known = program("aiida-surfbench", "potential", "known", "--format", "csv")
    assert known.stdout.count("\n") == 12


def test_profile_without_and_with_a_daemon(program, request, tmp_path, light_python, metal_records, write_set):
    """First in place, then by the daemon; the same group under verdi."""
    program("verdi", "presto", "-n", "-p", "main", "--email", "a@b.c", "--use-zeromq")
    file = write_set(tmp_path / "set.extxyz", metal_records(("Ag", "Cu")))
    assert "4 slabs and 2 bulks" in program("aiida-surfbench", "dataset", "import", file, "-l", "mine").stdout
    verdi = program("verdi", "data", "surfbench", "dataset", "list", "--format", "json")
    assert [record["label"] for record in json.loads(verdi.stdout)] == ["mine"]
    program(
        "verdi", "data", "surfbench", "potential", "install", "emt", "--family", "ase",
        "--factory", "ase.calculators.emt:EMT",
    )  # fmt: skip
    script = light_python(tmp_path / "python")
    assert "chgnet: not installed" in program("aiida-surfbench", "code", "setup", "light", "--python", script).stdout

    run = ("run", "--dataset", "mine", "--potential", "emt", "--code", "ase=light@localhost")
    refused = program("aiida-surfbench", *run, "--submit", fails=True)
    assert "verdi -p main daemon start" in refused.stderr
    in_place = program("aiida-surfbench", *run, "--elements", "Cu")
    assert "BenchmarkWorkChain <" in in_place.stdout

    request.addfinalizer(lambda: program("verdi", "daemon", "stop", "--timeout", 60))
    program("verdi", "daemon", "start")
    submitted = program("aiida-surfbench", *run, "--submit").stdout
    assert "Submitted BenchmarkWorkChain" in submitted
    pk = submitted.partition("<")[2].partition(">")[0]
    assert f"aiida-surfbench status {pk}" in submitted
    end = time.monotonic() + 200
    status = program("aiida-surfbench", "status", pk).stdout
    while ": done" not in status.splitlines()[0]:
        assert time.monotonic() < end, status
        time.sleep(1)
        status = program("aiida-surfbench", "status", pk).stdout
    assert "6 of 6" in status
    (record,) = json.loads(program("aiida-surfbench", "table", pk, "--format", "json").stdout)
    assert (record["potential"], record["n_slabs"], record["n_failed"]) == ("emt", 4, 0)

    waited = program("aiida-surfbench", *run, "--wait")  # with a daemon: submitted and followed
    assert "BenchmarkWorkChain <" in waited.stdout
    assert "RMSE" in waited.stdout
    listed = program("aiida-surfbench", "status").stdout
    assert listed.count("done") == 3
