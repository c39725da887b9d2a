"""An interrupt of a run in place ends its jobs and leaves no process behind that seems to run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SLOW = """
import time
from pathlib import Path
from ase.calculators.emt import EMT
class Slow(EMT):
    def calculate(self, *args, **kwargs):
        Path({mark!r}).touch()
        time.sleep(60)
"""
EXAMPLE = Path(__file__).parents[1] / "examples" / "copper.extxyz"


def wait_for(condition, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


def runners_in(folder: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (
                os.readlink(process / "cwd").startswith(str(folder))
                and b"runner.pyz" in (process / "cmdline").read_bytes()
            ):
                found.append(int(process.name))
        except OSError:  # it ended, or belongs to somebody else
            continue
    return found


class Program:
    """The command line in a profile of its own, with a potential that takes for ever."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = folder / "calculating"
        self.environment = {**os.environ, "AIIDA_PATH": str(folder), "OMP_NUM_THREADS": "1"}
        self.command = [sys.executable, "-c", "from aiida_surfbench.cli import main; main()", "-p", "interrupt"]

    def verdi(self, *arguments: str) -> str:
        return self._output([sys.executable, "-m", "aiida", *arguments])

    def __call__(self, *arguments: str) -> str:
        return self._output([*self.command, *arguments])

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.command, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _output(self, command: list[str]) -> str:
        answer = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=200)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interrupt")
    program = Program(folder)
    (folder / "slow_calculator.py").write_text(SLOW.format(mark=str(program.mark)))
    program.verdi("presto", "--use-zeromq", "-n", "-p", "interrupt", "--email", "a@localhost")
    program("dataset", "import", str(EXAMPLE), "--label", "copper")
    program("potential", "install", "slow", "--family", "ase", "--factory", "slow_calculator:Slow")
    program("code", "setup", "slow", "--python", sys.executable, "--prepend-text", f"export PYTHONPATH={folder}")
    return program


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs /proc to see whether the job still runs")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_ends_job_and_processes(program, number):
    program.mark.unlink(missing_ok=True)
    run = program.start("run", "--dataset", "copper", "--potential", "slow", "--code", "ase=slow@localhost")
    try:
        wait_for(program.mark.exists)
        assert runners_in(program.folder)
        run.send_signal(number)
        output, _ = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode != 0
    assert "Traceback" not in output
    wait_for(lambda: not runners_in(program.folder), 20)
    assert "killed" in program("status")
    assert "PredictCalculation" not in program.verdi("-p", "interrupt", "process", "list", "-r")
