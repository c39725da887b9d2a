"""Entry point: ``python runner.pyz predict job.json`` and ``python runner.pyz describe job.json``."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import contract
from .files import write_json

_PROBE = "_probe"  # environment.PROBE, which must not be imported before the threads are set
USAGE = "usage: runner.pyz predict|describe job.json"
#: One thread per process is fastest on CPU (facts measured: M3GNet took 14 times longer with two threads).
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def main(argv: Sequence[str]) -> int:
    """Run one command and return the exit status: 0, 1 (the job failed) or 2 (wrong arguments).

    :param argv: the command and the path of ``job.json``. All outputs are written to the folder of ``job.json``;
        ``results.json`` is written whenever that folder exists, on failure with ``error.code`` and ``error.message``.
    """
    for name in _THREAD_VARIABLES:  # before numpy or torch is imported
        os.environ.setdefault(name, "1")
    if len(argv) == 2 and argv[0] == _PROBE:
        from . import environment

        sys.stdout.write(environment.probe(argv[1]) + "\n")
        return 0
    if len(argv) != 2 or argv[0] not in contract.COMMANDS:
        sys.stderr.write(USAGE + "\n")
        return 2
    command, job_file = argv[0], Path(argv[1]).absolute()
    results, error = _run(command, job_file)
    if error is not None:
        results.update(status=contract.FAILED, error=error)
        sys.stderr.write(f"{error['code']}: {error['message']}\n")
    if job_file.parent.is_dir():
        write_json(job_file.parent / contract.RESULTS_FILE, results)
    return 0 if error is None else 1


def _run(command: str, job_file: Path) -> tuple[dict[str, Any], dict[str, str] | None]:
    """Run ``command``; return what to write to results.json (complete or begun) and the error or ``None``."""
    results: dict[str, Any] = {
        "schema_version": contract.SCHEMA_VERSION,
        "command": command,
        "status": contract.OK,
        "error": None,
    }
    try:
        _require("numpy", "ase")
        if command == contract.PREDICT:
            from . import predict

            predict.run(job_file, results)
        else:
            from . import environment

            environment.run_describe(job_file, results)
    except contract.JobError as error:
        return results, {"code": error.code, "message": error.message}
    except MemoryError as error:
        traceback.print_exc()
        message = f"The memory did not suffice ({error or 'MemoryError'}): ask for more memory."
        return results, {"code": contract.OUT_OF_MEMORY, "message": message}
    except Exception as error:  # the last line of defence: the job must leave a results.json that says why
        traceback.print_exc()
        return results, {"code": contract.UNEXPECTED, "message": f"{type(error).__name__}: {error}"}
    return results, None


def _require(*modules: str) -> None:
    for name in modules:
        if importlib.util.find_spec(name) is None:
            raise contract.JobError(
                contract.FAMILY_NOT_INSTALLED,
                f"The Python {sys.executable} has no package {name}: install a potential's packages there, or use a "
                "Code of another Python.",
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
