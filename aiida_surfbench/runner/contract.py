"""The contract between the submitting side and the runner, schema version 1.

Everything both sides must agree on stands here and nowhere else: file names, JSON keys, status words, error codes.
Standard library only, Python 3.9 syntax: this file travels to the cluster inside the runner.

The job folder of ``predict``::

    in:  runner.pyz  job.json  structures.extxyz  potential/...
    out: parts/NNNNNN.jsonl (+ .npz where arrays were asked for)  results.json  heartbeat.json  runner.out  runner.err

Units: energies eV (total, of the whole structure), forces eV/Å, stress eV/Å³ in ASE's sign and Voigt order
(xx, yy, zz, yz, xz, xy), times in seconds.
"""

from __future__ import annotations

from typing import Any

SCHEMA_VERSION = 1
#: Raised whenever a change of the runner can change a predicted number.
ALGORITHM_VERSION = 1

# Files of the job folder
RUNNER_FILE = "runner.pyz"
JOB_FILE = "job.json"
STRUCTURES_FILE = "structures.extxyz"
POTENTIAL_FOLDER = "potential"
PARTS_FOLDER = "parts"
RESULTS_FILE = "results.json"
HEARTBEAT_FILE = "heartbeat.json"
STDOUT_FILE = "runner.out"
STDERR_FILE = "runner.err"

# Commands
PREDICT = "predict"
DESCRIBE = "describe"
COMMANDS = (PREDICT, DESCRIBE)

# Families of potentials the runner has, and those that come with later versions
FAMILIES = ("chgnet", "m3gnet", "ase")
FAMILIES_NOT_YET = ("mace", "sevennet", "nequip", "mtp")

# Status words, of a job and of one structure
OK = "ok"
FAILED = "failed"

# options: what can change a number
PROPERTIES = ("energy", "forces", "stress", "node_features")
GEOMETRIES = ("static", "relax_ions", "relax_cell")
DTYPES = ("native", "float32", "float64")
DEFAULT_OPTIONS: dict[str, Any] = {"properties": ["energy"], "geometry": "static", "dtype": "native"}

# execution: what cannot change a number
DEVICES = ("cpu", "cuda")
DEFAULT_EXECUTION: dict[str, Any] = {"device": "cpu", "workers": 1, "batch_atoms": None, "max_seconds": None}

# Part of the contract, but not built yet: refused with a sentence.
_NOT_YET = "is part of the contract but not available in this version of aiida-surfbench"

# Error codes of a job (results.json: error.code)
BAD_JOB = "bad_job"
STRUCTURES_UNREADABLE = "structures_unreadable"
NOT_AVAILABLE = "not_available"
FAMILY_NOT_INSTALLED = "family_not_installed"
ENVIRONMENT_CHANGED = "environment_changed"
DEVICE_UNAVAILABLE = "device_unavailable"
WEIGHTS_MISSING = "weights_missing"
WEIGHTS_ALTERED = "weights_altered"
WEIGHTS_UNTRUSTED = "weights_untrusted"
POTENTIAL_UNREADABLE = "potential_unreadable"
OUT_OF_MEMORY = "out_of_memory"
UNEXPECTED = "unexpected"
ERROR_CODES = (
    BAD_JOB,
    STRUCTURES_UNREADABLE,
    NOT_AVAILABLE,
    FAMILY_NOT_INSTALLED,
    ENVIRONMENT_CHANGED,
    DEVICE_UNAVAILABLE,
    WEIGHTS_MISSING,
    WEIGHTS_ALTERED,
    WEIGHTS_UNTRUSTED,
    POTENTIAL_UNREADABLE,
    OUT_OF_MEMORY,
    UNEXPECTED,
)


class JobError(Exception):
    """The job as a whole cannot give results.

    :param code: one of :data:`ERROR_CODES`.
    :param message: one sentence: what is wrong, where, and what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def _unknown_keys(given: dict[str, Any], known: dict[str, Any], name: str) -> str | None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        return f"{name} has unknown keys {', '.join(unknown)}; known are {', '.join(sorted(known))}."
    return None


def check_options(options: dict[str, Any]) -> str | None:
    """Return what is wrong with ``options``, in one sentence, or ``None``.

    :param options: a mapping with some of the keys of :data:`DEFAULT_OPTIONS`; absent ones take the default.
    """
    problem = _unknown_keys(options, DEFAULT_OPTIONS, "options")
    if problem:
        return problem
    merged = {**DEFAULT_OPTIONS, **options}
    properties = merged["properties"]
    if not isinstance(properties, (list, tuple)) or not properties:
        return f"options.properties must be a list with some of {', '.join(PROPERTIES)}; got {properties!r}."
    for name in properties:
        if name not in PROPERTIES:
            return f"options.properties: {name!r} is unknown; choose from {', '.join(PROPERTIES)}."
    if "energy" not in properties:
        return "options.properties must contain 'energy'."
    if len(set(properties)) != len(properties):
        return f"options.properties names a property twice: {', '.join(properties)}."
    if merged["geometry"] not in GEOMETRIES:
        return f"options.geometry: {merged['geometry']!r} is unknown; choose from {', '.join(GEOMETRIES)}."
    if merged["dtype"] not in DTYPES:
        return f"options.dtype: {merged['dtype']!r} is unknown; choose from {', '.join(DTYPES)}."
    if "node_features" in properties:
        return f"options.properties: 'node_features' {_NOT_YET}; leave it out."
    if merged["geometry"] != "static":
        return f"options.geometry: {merged['geometry']!r} {_NOT_YET}; use 'static'."
    return None


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def check_execution(execution: dict[str, Any]) -> str | None:
    """Return what is wrong with ``execution``, in one sentence, or ``None``.

    :param execution: a mapping with some of the keys of :data:`DEFAULT_EXECUTION`; absent ones take the default.
    """
    problem = _unknown_keys(execution, DEFAULT_EXECUTION, "execution")
    if problem:
        return problem
    merged = {**DEFAULT_EXECUTION, **execution}
    if merged["device"] not in DEVICES:
        return f"execution.device: {merged['device']!r} is unknown; choose from {', '.join(DEVICES)}."
    if not _is_int(merged["workers"]) or merged["workers"] < 1:
        return f"execution.workers must be a whole number of at least 1; got {merged['workers']!r}."
    budget = merged["batch_atoms"]
    if budget is not None and (not _is_int(budget) or budget < 1):
        return f"execution.batch_atoms must be a whole number of at least 1, or null; got {budget!r}."
    limit = merged["max_seconds"]
    if limit is not None and (not isinstance(limit, (int, float)) or isinstance(limit, bool) or not limit > 0):
        return f"execution.max_seconds must be a positive number, or null; got {limit!r}."
    if merged["workers"] > 1:
        return f"execution.workers above 1 {_NOT_YET}; use 1."
    if limit is not None:
        return f"execution.max_seconds {_NOT_YET}; leave it out."
    return None


def check_schema(document: dict[str, Any], name: str) -> str | None:
    """Return what is wrong with the schema version of ``document``, in one sentence, or ``None``."""
    version = document.get("schema_version")
    if not _is_int(version):
        return f"{name} has no whole number under 'schema_version'."
    if version != SCHEMA_VERSION:
        return (
            f"{name} has schema version {version}, this program knows {SCHEMA_VERSION}: "
            "use the same version of aiida-surfbench on both sides."
        )
    return None
