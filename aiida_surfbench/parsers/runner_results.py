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


class RunnerParser(Parser):
    """A parser of a runner job."""

    def read_results(self) -> dict[str, Any] | ExitCode:
        """Return the runner's ``results.json``, or the exit code that says why there is none.

        What the scheduler found (walltime, memory) is not overwritten by the absence of results.
        """
        found_by_scheduler = self.node.exit_status
        if contract.RESULTS_FILE not in self.retrieved.base.repository.list_object_names():
            if found_by_scheduler:
                return ExitCode(found_by_scheduler, self.node.exit_message)
            return self.exit_codes.ERROR_RESULTS_MISSING.format(reason=self._last_error_line())
        try:
            results = json.loads(self.retrieved.base.repository.get_object_content(contract.RESULTS_FILE))
            problem = contract.check_schema(results, contract.RESULTS_FILE)
        except ValueError as exception:
            problem = f"{contract.RESULTS_FILE} is no JSON ({exception})"
        if problem:
            return self.exit_codes.ERROR_RESULTS_UNREADABLE.format(reason=problem)
        return dict(results)

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
            lines = self.retrieved.base.repository.get_object_content(contract.STDERR_FILE).strip().splitlines()
            if lines:
                return str(lines[-1])
        return "its stderr is empty"
