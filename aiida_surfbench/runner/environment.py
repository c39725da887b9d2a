"""What the environment is (the command ``describe``), and whether it is still the one that was described."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

from .contract import ENVIRONMENT_CHANGED, FAMILIES, FAMILY_NOT_INSTALLED, JobError
from .families import Family, get_family
from .families._torch import gpu_name
from .job import read_describe_job

#: The hidden command that imports one family and says how it went.
PROBE = "_probe"
_PROBE_SECONDS = 300


def run_describe(job_file: Path, results: dict[str, Any]) -> None:
    """Run a ``describe`` job: fills ``results["environment"]``.

    :raises JobError: a bad job, an unknown family, or a device that is not there.
    """
    start = time.monotonic()
    job = read_describe_job(job_file)
    families = [get_family(name) for name in (FAMILIES if job.families is None else job.families)]
    found = current([get_family(name) for name in FAMILIES], job.execution["device"])
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:  # the threads only wait for their processes
        probes = pool.map(_probe_in_subprocess, families)
        found["families"] = {family.NAME: outcome for family, outcome in zip(families, probes)}
    results["environment"] = found
    results["timings"] = {"total_s": round(time.monotonic() - start, 3)}


def current(families: Iterable[Family], device: str) -> dict[str, Any]:
    """Return python, machine, device_class and the versions of the families' distributions that are installed.

    :raises JobError: ``device_unavailable``.
    """
    names = sorted({name for family in families for name in family.DISTRIBUTIONS})
    versions = {name: version_of(name) for name in names}
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device_class": device_class(device),
        "packages": {name: version for name, version in versions.items() if version is not None},
    }


def version_of(distribution: str) -> str | None:
    """Return the installed version of a distribution, or ``None``."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def device_class(device: str) -> str:
    """Return ``cpu``, or the name of the GPU.

    :raises JobError: ``device_unavailable``: a GPU was asked for and torch sees none.
    """
    return "cpu" if device == "cpu" else gpu_name()


def compare(described: dict[str, Any], found: dict[str, Any], distributions: Iterable[str]) -> None:
    """Refuse an environment that is not the described one, as far as one family's numbers depend on it.

    :raises JobError: ``environment_changed``, naming each difference.
    """
    before = {key: described[key] for key in ("python", "device_class") if described.get(key) is not None}
    after = {key: found[key] for key in before}
    for name in distributions:
        before[name] = described["packages"].get(name)
        after[name] = found["packages"].get(name)
    changes = [
        f"{name} was {before[name] or 'not installed'} and is {after[name] or 'not installed'}"
        for name in before
        if before[name] != after[name]
    ]
    if changes:
        raise JobError(
            ENVIRONMENT_CHANGED,
            f"The environment is not the described one: {'; '.join(changes)}. Describe the code again.",
        )


def _missing_package(family: Family) -> str | None:
    return None if importlib.util.find_spec(family.PACKAGE) else f"not installed: no package {family.PACKAGE}"


def require_installed(family: Family) -> None:
    """Refuse, without importing anything, a family whose package is absent."""
    missing = _missing_package(family)
    if missing:
        raise JobError(
            FAMILY_NOT_INSTALLED,
            f"The family {family.NAME} is {missing} in {sys.prefix}; there, run: "
            f"pip install {family.DISTRIBUTIONS[0]}, or give the code the Python that has it.",
        )


def require_importable(family: Family) -> None:
    """Import what the family needs; refuse one that is installed but broken."""
    try:
        family.import_packages()
    except ImportError as error:
        raise JobError(
            FAMILY_NOT_INSTALLED,
            f"The family {family.NAME} is installed in {sys.prefix} but cannot be imported ({error}); "
            f"there, run: pip install {family.DISTRIBUTIONS[0]}.",
        ) from error


def probe(name: str) -> str:
    """Import what a family needs in this process; return one line of JSON, ``importable`` and ``reason``."""
    try:
        get_family(name).import_packages()
    except Exception as error:  # a broken package may raise anything; the reason is what describe is for
        return json.dumps({"importable": False, "reason": f"{type(error).__name__}: {error}"})
    return json.dumps({"importable": True, "reason": None})


def _probe_in_subprocess(family: Family) -> dict[str, Any]:
    """Families may clash or crash when imported together: each gets a process of its own."""
    outcome: dict[str, Any] = {"importable": False, "version": version_of(family.DISTRIBUTIONS[0]), "reason": None}
    outcome["reason"] = _missing_package(family)
    if outcome["reason"]:
        return outcome
    command, folder = _own_command()
    try:
        process = subprocess.run(  # noqa: S603 - this program itself, with a name from contract.FAMILIES
            [*command, PROBE, family.NAME],
            check=False,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        outcome["reason"] = f"importing it took longer than {_PROBE_SECONDS} s"
        return outcome
    try:  # the packages may print while they are imported; the answer is the last line
        outcome.update(json.loads(process.stdout.strip().splitlines()[-1]))
    except (IndexError, ValueError):
        last = (process.stderr.strip().splitlines() or ["no message"])[-1]
        outcome["reason"] = f"importing it ended the process with status {process.returncode}: {last}"
    return outcome


def _own_command() -> tuple[list[str], Path | None]:
    """Return how to start this very program, from a zipapp or a source tree, and the folder to start it in."""
    package = (__package__ or "").split(".")
    root = Path(__file__).resolve().parents[len(package)]
    if root.is_file():
        return [sys.executable, str(root)], None
    return [sys.executable, "-m", ".".join(package)], root
