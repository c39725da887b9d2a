"""Reading and validating ``job.json``: every mistake becomes one sentence that names the key."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .contract import (
    BAD_JOB,
    DEFAULT_EXECUTION,
    DEFAULT_OPTIONS,
    JobError,
    check_execution,
    check_options,
    check_schema,
)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PREDICT_KEYS = (
    "schema_version",
    "command",
    "structures",
    "n_structures",
    "potential",
    "options",
    "execution",
    "environment",
)
_DESCRIBE_KEYS = ("schema_version", "command", "families", "execution")
_POTENTIAL_KEYS = ("family", "name", "elements", "config", "files", "trusted")
_FILE_KEYS = ("path", "package", "sha256")


@dataclass(frozen=True)
class PotentialFile:
    """Where a file of the potential is: below the job folder (or absolute), or inside an installed package."""

    path: str
    package: str | None
    sha256: str | None


@dataclass(frozen=True)
class PotentialSpec:
    """The potential of a job. ``elements`` is ``None`` where unknown."""

    family: str
    name: str
    elements: frozenset[str] | None
    config: dict[str, Any]
    files: dict[str, PotentialFile]
    trusted: frozenset[str]


@dataclass(frozen=True)
class PredictJob:
    """A validated ``predict`` job; ``options`` and ``execution`` are complete (defaults filled in)."""

    folder: Path
    structures: Path
    n_structures: int | None
    potential: PotentialSpec
    options: dict[str, Any]
    execution: dict[str, Any]
    environment: dict[str, Any] | None


@dataclass(frozen=True)
class DescribeJob:
    """A validated ``describe`` job; ``families`` is ``None`` for all."""

    families: list[str] | None
    execution: dict[str, Any]


def _refuse(sentence: str) -> JobError:
    return JobError(BAD_JOB, sentence)


def _check(problem: str | None) -> None:
    if problem:
        raise _refuse(problem)


def _known_keys(document: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    unknown = sorted(set(document) - set(known))
    if unknown:
        raise _refuse(f"{where} has unknown keys {', '.join(unknown)}; known are {', '.join(known)}.")


def _mapping(document: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = document.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _refuse(f"{where}{key} must be an object; got {value!r}.")
    return value


def _strings(document: dict[str, Any], key: str, where: str) -> list[str] | None:
    value = document.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _refuse(f"{where}{key} must be a list of strings, or null; got {value!r}.")
    return value


def _read(job_file: Path, command: str, known: tuple[str, ...]) -> dict[str, Any]:
    try:
        document = json.loads(job_file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _refuse(f"The job file {job_file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise _refuse(f"The job file {job_file.name} is no JSON: {error}.") from error
    if not isinstance(document, dict):
        raise _refuse(f"The job file {job_file.name} must hold a JSON object.")
    _check(check_schema(document, job_file.name))
    _known_keys(document, known, job_file.name)
    if document.get("command") != command:
        raise _refuse(
            f"{job_file.name} has command {document.get('command')!r}, but the runner was asked to {command}."
        )
    return document


def _execution(document: dict[str, Any]) -> dict[str, Any]:
    execution = _mapping(document, "execution", "")
    _check(check_execution(execution))
    return {**DEFAULT_EXECUTION, **execution}


def _inside(path: str, where: str, *, absolute: bool) -> str:
    if not path or ".." in Path(path).parts or (Path(path).is_absolute() and not absolute):
        raise _refuse(f"{where} is {path!r}, which leaves its folder: give a path without '..'.")
    return path


def _file(name: str, entry: Any) -> PotentialFile:
    where = f"potential.files[{name!r}]"
    if not isinstance(entry, dict):
        raise _refuse(f"{where} must be an object with 'path'; got {entry!r}.")
    _known_keys(entry, _FILE_KEYS, where)
    path, package, digest = entry.get("path"), entry.get("package"), entry.get("sha256")
    if not isinstance(path, str):
        raise _refuse(f"{where}.path must be a string; got {path!r}.")
    if package is not None and (not isinstance(package, str) or not package.isidentifier()):
        raise _refuse(f"{where}.package must be the name of a package; got {package!r}.")
    if digest is not None and (not isinstance(digest, str) or not _SHA256.fullmatch(digest)):
        raise _refuse(f"{where}.sha256 must be 64 lower-case hexadecimal digits, or null; got {digest!r}.")
    return PotentialFile(_inside(path, f"{where}.path", absolute=package is None), package, digest)


def _potential(document: dict[str, Any]) -> PotentialSpec:
    potential = document.get("potential")
    if not isinstance(potential, dict):
        raise _refuse(f"potential must be an object; got {potential!r}.")
    _known_keys(potential, _POTENTIAL_KEYS, "potential")
    family, name = potential.get("family"), potential.get("name")
    if not isinstance(family, str) or not family:
        raise _refuse(f"potential.family must be the name of a family; got {family!r}.")
    if name is not None and not isinstance(name, str):
        raise _refuse(f"potential.name must be a string; got {name!r}.")
    elements = _strings(potential, "elements", "potential.")
    files = _mapping(potential, "files", "potential.")
    return PotentialSpec(
        family=family,
        name=name or family,
        elements=None if elements is None else frozenset(elements),
        config=_mapping(potential, "config", "potential."),
        files={key: _file(key, entry) for key, entry in files.items()},
        trusted=frozenset(_strings(potential, "trusted", "potential.") or ()),
    )


def read_predict_job(job_file: Path) -> PredictJob:
    """Read and validate a ``predict`` job.

    :raises JobError: ``bad_job``, with one sentence that names the key.
    """
    document = _read(job_file, "predict", _PREDICT_KEYS)
    structures, n_structures = document.get("structures"), document.get("n_structures")
    if not isinstance(structures, str):
        raise _refuse(f"structures must be the name of the structures file; got {structures!r}.")
    if n_structures is not None and (not isinstance(n_structures, int) or isinstance(n_structures, bool)):
        raise _refuse(f"n_structures must be a whole number, or null; got {n_structures!r}.")
    options = _mapping(document, "options", "")
    _check(check_options(options))
    environment = document.get("environment")
    if environment is not None:
        _check_environment(_mapping(document, "environment", ""))
    return PredictJob(
        folder=job_file.parent,
        structures=job_file.parent / _inside(structures, "structures", absolute=True),
        n_structures=n_structures,
        potential=_potential(document),
        options={**DEFAULT_OPTIONS, **options},
        execution=_execution(document),
        environment=environment,
    )


def _check_environment(environment: dict[str, Any]) -> None:
    packages = environment.get("packages")
    if not isinstance(packages, dict) or not all(isinstance(version, str) for version in packages.values()):
        raise _refuse(f"environment.packages must map distributions to versions; got {packages!r}.")
    for key in ("python", "device_class"):
        if not isinstance(environment.get(key), (str, type(None))):
            raise _refuse(f"environment.{key} must be a string; got {environment[key]!r}.")


def read_describe_job(job_file: Path) -> DescribeJob:
    """Read and validate a ``describe`` job.

    :raises JobError: ``bad_job``, with one sentence that names the key.
    """
    document = _read(job_file, "describe", _DESCRIBE_KEYS)
    return DescribeJob(families=_strings(document, "families", ""), execution=_execution(document))
