"""What the parsers of runner jobs have in common."""

from __future__ import annotations

import json
from typing import Any

from aiida.engine import ExitCode
from aiida.parsers import Parser

from ..runner import contract

#: The CalcJob's exit code for each of the runner's error codes.
EXIT_CODES = {
    contract.BAD_JOB: "ERROR_BAD_JOB",
    contract.STRUCTURES_UNREADABLE: "ERROR_STRUCTURES_UNREADABLE",
    contract.NOT_AVAILABLE: "ERROR_NOT_AVAILABLE",
    contract.FAMILY_NOT_INSTALLED: "ERROR_FAMILY_NOT_INSTALLED",
    contract.ENVIRONMENT_CHANGED: "ERROR_ENVIRONMENT_CHANGED",
    contract.DEVICE_UNAVAILABLE: "ERROR_DEVICE_UNAVAILABLE",
    contract.WEIGHTS_MISSING: "ERROR_WEIGHTS_MISSING",
    contract.WEIGHTS_ALTERED: "ERROR_WEIGHTS_ALTERED",
    contract.WEIGHTS_UNTRUSTED: "ERROR_WEIGHTS_UNTRUSTED",
    contract.POTENTIAL_UNREADABLE: "ERROR_POTENTIAL_UNREADABLE",
    contract.OUT_OF_MEMORY: "ERROR_OUT_OF_MEMORY",
    contract.UNEXPECTED: "ERROR_UNEXPECTED",
}
#: Exit codes that AiiDA's scheduler plugins set: memory, walltime, account, node.
SCHEDULER_CODES = range(100, 200)


class RunnerParser(Parser):
    """A parser of a runner job."""

    def found_by_scheduler(self) -> ExitCode | None:
        """Return what the scheduler found (walltime, memory), which no finding of ours may replace."""
        status = self.node.exit_status
        if status is None or status not in SCHEDULER_CODES:
            return None
        return ExitCode(status, self.node.exit_message)

    def read_results(self) -> Any:
        """Return the runner's ``results.json``, or the exit code that says why there is none."""
        if contract.RESULTS_FILE not in self.retrieved.base.repository.list_object_names():
            return self.exit_codes.ERROR_RESULTS_MISSING.format(reason=self._last_error_line())
        try:
            results = json.loads(self.retrieved.base.repository.get_object_content(contract.RESULTS_FILE, "r"))
        except ValueError as exception:
            return self.unreadable(f"{contract.RESULTS_FILE} is no JSON ({exception})")
        problem = _problem_of(results)
        return self.unreadable(problem) if problem else results

    def unreadable(self, reason: str) -> ExitCode:
        """Return the exit code of output that cannot be read."""
        exit_code: ExitCode = self.exit_codes.ERROR_RESULTS_UNREADABLE.format(reason=reason)
        return exit_code

    def exit_code_of(self, results: dict[str, Any]) -> ExitCode | None:
        """Return the exit code of a runner that says it failed, ``None`` of one that did not."""
        if results["status"] == contract.OK:
            return None
        error = results["error"]
        name = EXIT_CODES.get(error["code"], "ERROR_UNEXPECTED")
        if name not in self.node.process_class.spec().exit_codes:  # describe knows fewer than predict
            name = "ERROR_UNEXPECTED"
        exit_code: ExitCode = getattr(self.exit_codes, name)
        return exit_code.format(reason=error["message"])

    def _last_error_line(self) -> str:
        if contract.STDERR_FILE in self.retrieved.base.repository.list_object_names():
            content = self.retrieved.base.repository.get_object_content(contract.STDERR_FILE, "rb")
            lines = content.decode(errors="replace").strip().splitlines()
            if lines:
                return str(lines[-1])
        return "its stderr is empty"


def _problem_of(results: Any) -> str | None:
    """Return what is wrong with the content of ``results.json``, or ``None``."""
    if not isinstance(results, dict):
        return f"{contract.RESULTS_FILE} holds no JSON object"
    problem = contract.check_schema(results, contract.RESULTS_FILE)
    if problem:
        return problem
    if results.get("status") not in (contract.OK, contract.FAILED):
        return f"{contract.RESULTS_FILE} has the status {results.get('status')!r}"
    error = results.get("error")
    if results["status"] == contract.FAILED and not (isinstance(error, dict) and {"code", "message"} <= set(error)):
        return f"{contract.RESULTS_FILE} says that the job failed, but not why"
    return None
