"""What is shipped: the sdist, the wheels built from the tree and from that sdist, and the pins beside them."""

from __future__ import annotations

import configparser
import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import aiida_surfbench

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "aiida_surfbench"
SETUP = json.loads((ROOT / "setup.json").read_text(encoding="utf-8"))
DATA = (".yaml", ".csv", ".txt", ".typed")
needs_build = pytest.mark.skipif(
    importlib.util.find_spec("build") is None,
    reason="the package `build` is missing: pip install 'aiida-surfbench[tests]'",
)


def shipped_sources() -> dict[str, Path]:
    """Return what the wheel must hold: name inside it → file of the tree, workchains' own files for the symlink's."""
    sources = {}
    for folder, prefix in ((ROOT / PROJECT, PROJECT), (ROOT / "workchains", f"{PROJECT}/workchains")):
        for parent, folders, names in os.walk(folder, followlinks=False):
            folders[:] = [name for name in folders if name != "__pycache__" and not Path(parent, name).is_symlink()]
            for path in (Path(parent, name) for name in names):
                if path.suffix in (".py", *DATA) or path.name == "py.typed":
                    sources[f"{prefix}/{path.relative_to(folder).as_posix()}"] = path
    return sources


def copy_tree(target: Path) -> None:
    """Copy the checkout without what git ignores, symlinks as symlinks; without git, all but the usual folders."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode:
        ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist")
        shutil.copytree(ROOT, target, symlinks=True, ignore=ignored)
        return
    for name in sorted(set(os.fsdecode(listing.stdout).split("\0")) - {""}):
        if os.path.lexists(ROOT / name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)


def build(arguments: list[str], source: Path, out: Path) -> None:
    """Build with the setuptools of this environment, without network."""
    result = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", *arguments, "--outdir", str(out), str(source)],
        cwd=out.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def dists(tmp_path_factory):
    """Build all three once; return the folder, with ``direct`` holding the wheel built straight from the tree."""
    folder = tmp_path_factory.mktemp("packaging")
    copy_tree(folder / "tree")
    # A copy for each: a build leaves folders behind that could hide what MANIFEST.in forgot
    shutil.copytree(folder / "tree", folder / "tree_direct", symlinks=True)
    build(["--wheel"], folder / "tree_direct", folder / "direct")
    build([], folder / "tree", folder / "dist")
    return folder


@pytest.fixture(scope="module")
def wheel(dists):
    """Open the wheel that was built from the sdist."""
    with zipfile.ZipFile(next((dists / "dist").glob("*.whl"))) as archive:
        yield archive


def dist_info(wheel: zipfile.ZipFile, name: str) -> str:
    """Return the text of one file of the wheel's dist-info."""
    path = next(entry for entry in wheel.namelist() if entry.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


@pytest.fixture(scope="module")
def metadata(wheel) -> Message:
    """Return the wheel's METADATA."""
    return Parser().parsestr(dist_info(wheel, "METADATA"))


def test_setup_json_holds_three_keys():
    assert set(SETUP) == {"entry_points", "install_requires", "extras_require"}


@needs_build
def test_wheel_has_every_entry_point(wheel):
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.optionxform = str
    parser.read_string(dist_info(wheel, "entry_points.txt"))
    written = {
        group: dict(re.split(r"\s*=\s*", line) for line in lines) for group, lines in SETUP["entry_points"].items()
    }
    assert {group: dict(parser[group]) for group in parser.sections()} == written
    assert "aiida-surfbench" in written["console_scripts"]


@needs_build
def test_wheel_has_every_module_and_data_file(wheel):
    sources = shipped_sources()
    assert f"{PROJECT}/py.typed" in sources
    assert {Path(name).suffix for name in sources} >= {".py", ".yaml", ".csv", ".txt"}
    inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert inside == set(sources), "a folder missing here is missing in `packages` or `package-data` of pyproject.toml"
    assert all(wheel.read(name) == path.read_bytes() for name, path in sources.items())


@needs_build
def test_wheel_has_workchains_as_real_files(wheel):
    entries = [entry for entry in wheel.infolist() if entry.filename.startswith(f"{PROJECT}/workchains")]
    assert {f"{PROJECT}/workchains/__init__.py", f"{PROJECT}/workchains/surface_energy.py"} <= {
        entry.filename for entry in entries
    }
    assert not any(stat.S_ISLNK(entry.external_attr >> 16) for entry in entries)
    assert not any(name.startswith(("tests/", "workchains/")) or "/tests/" in name for name in wheel.namelist())


@needs_build
def test_wheel_metadata(metadata):
    assert metadata["Name"] == "aiida-surfbench"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Description-Content-Type"] == "text/markdown"
    found: dict[str | None, set[Requirement]] = {None: set(), **{extra: set() for extra in SETUP["extras_require"]}}
    for requirement in map(Requirement, metadata.get_all("Requires-Dist")):
        extra = re.search(r'extra == "([^"]+)"', str(requirement.marker or ""))
        requirement.marker = None
        found[extra and extra.group(1)].add(requirement)
    written = {None: SETUP["install_requires"], **SETUP["extras_require"]}
    assert found == {extra: set(map(Requirement, lines)) for extra, lines in written.items()}
    assert set(metadata.get_all("Provides-Extra")) == set(SETUP["extras_require"])


@needs_build
def test_both_wheels_are_the_same(dists, wheel):
    with zipfile.ZipFile(next((dists / "direct").glob("*.whl"))) as direct:
        assert {name: direct.read(name) for name in direct.namelist() if not name.endswith("/RECORD")} == {
            name: wheel.read(name) for name in wheel.namelist() if not name.endswith("/RECORD")
        }


@needs_build
def test_sdist(dists):
    with tarfile.open(next((dists / "dist").glob("*.tar.gz"))) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
        assert not [member.name for member in archive if member.issym() or member.islnk()]
    assert {"setup.json", "setup.py", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"} <= names
    assert set(shipped_sources()) <= names
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")} <= names


def pins(path: Path) -> dict[str, str]:
    """Return name → version of a file of ``name==version`` lines."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_constraints_are_plain_pins_and_cover_every_requirement():
    constraints = pins(ROOT / "constraints.txt")
    assert list(constraints) == sorted(constraints)
    assert all(re.fullmatch(r"[0-9a-z-]+", name) for name in constraints)
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in constraints.values())
    for lines in (SETUP["install_requires"], *SETUP["extras_require"].values()):
        for requirement in map(Requirement, lines):
            assert requirement.specifier.contains(constraints[requirement.name.lower()]), requirement


@pytest.mark.parametrize(
    "path", sorted((ROOT / PROJECT / "potentials" / "requirements").glob("*.txt")), ids=lambda p: p.stem
)
def test_environments_of_the_families_agree_with_the_constraints(path):
    """Where both pin a package; a family that cannot live beside the others has an environment of its own."""
    constraints = pins(ROOT / "constraints.txt")
    assert {name: constraints.get(name, version) for name, version in pins(path).items()} == pins(path)


def test_citation_has_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == aiida_surfbench.__version__


def test_readme_has_the_two_commands_that_ci_runs():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^<!-- command: (\S+) -->\n```bash\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL)
    assert [name for name, _ in blocks] == ["demo", "tests"]
    for _, block in blocks:
        assert block.count("\n") == 1, "one line each"
        assert " -c constraints.txt " in block
        extras = re.search(r'"\.\[(.*?)\]"', block)
        assert extras
        assert set(extras.group(1).split(",")) <= set(SETUP["extras_require"])
