"""Every entry point loads in an environment without any potential's packages, and help stays fast.

An entry point that cannot be imported breaks ``verdi data --help`` for everybody, so these tests run in interpreters of
their own where torch, chgnet, matgl and matplotlib are not to be had.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

SETUP = Path(__file__).resolve().parents[1] / "setup.json"
ABSENT = ("torch", "chgnet", "matgl", "matplotlib")

BLOCK = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}} (blocked)", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture
def run_python(tmp_path):
    """Run code where the packages are absent, with an AiiDA folder of its own; return what it printed."""

    def run(code: str) -> str:
        environment = {**os.environ, "AIIDA_PATH": str(tmp_path), "COLUMNS": "200"}
        result = subprocess.run(
            [sys.executable, "-c", BLOCK + code],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return run


def test_the_packages_are_absent(run_python):
    output = run_python(
        "import importlib\n"
        f"for name in {ABSENT!r}:\n"
        "    try:\n"
        "        importlib.import_module(name)\n"
        "    except ImportError:\n"
        "        print(name)\n"
    )
    assert output.split() == list(ABSENT)


def test_installed_entry_points_are_those_of_setup_json():
    groups = json.loads(SETUP.read_text(encoding="utf-8"))["entry_points"]
    written = {(group, *(part.strip() for part in line.split("="))) for group in groups for line in groups[group]}
    installed = {(entry.group, entry.name, entry.value) for entry in distribution("aiida-surfbench").entry_points}
    assert installed == written, "setup.json changed after the installation: install the project again"


def test_every_entry_point_loads(run_python):
    output = run_python(
        "from importlib.metadata import distribution\n"
        "for entry in distribution('aiida-surfbench').entry_points:\n"
        "    try:\n"
        "        entry.load()\n"
        "    except Exception as error:\n"
        "        print(f'{entry.group} {entry.name}: {type(error).__name__}: {error}')\n"
    )
    assert output == ""


def test_entry_points_are_named_for_the_plugin():
    for entry in distribution("aiida-surfbench").entry_points:
        if entry.group.startswith("aiida.") and not entry.group.startswith("aiida.cmdline"):
            assert entry.name.startswith("surfbench."), entry
        assert entry.value.startswith("aiida_surfbench."), entry


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["data", "--help"], "surfbench"), (["data", "surfbench", "--help"], "Start with `aiida-surfbench demo`.")],
)
def test_verdi_help(run_python, arguments, words):
    output = run_python(f"from aiida.cmdline.commands.cmd_verdi import verdi\nverdi({arguments!r}, prog_name='verdi')")
    assert output.startswith("Usage: verdi")
    assert words in output


def test_help_of_every_command_is_fast(run_python):
    """Help imports nothing heavy: not for the group and not for any command in it."""
    output = run_python(
        "import click\n"
        "from click.testing import CliRunner\n"
        "from aiida_surfbench.cli import cli\n"
        "def visit(command, path):\n"
        "    result = CliRunner().invoke(cli, [*path, '--help'])\n"
        "    assert result.exit_code == 0, (path, result.output, result.exception)\n"
        "    heavy = {'pandas', 'pymatgen', 'aiida.orm', 'matplotlib', 'torch', 'scipy'} & set(sys.modules)\n"
        "    assert not heavy, (path, heavy)\n"
        "    print(' '.join(path))\n"
        "    for name, inner in getattr(command, 'commands', {}).items():\n"
        "        visit(inner, [*path, name])\n"
        "visit(cli, [])\n"
    )
    assert {"", "demo", "run", "table"} <= set(output.splitlines())
