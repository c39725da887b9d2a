"""Parser of DescribeCalculation."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode
from aiida.orm import Dict

from ..runner import contract
from .runner_results import RunnerParser


class DescribeParser(RunnerParser):
    """Turn the runner's description of its environment into a node."""

    def parse(self, **kwargs: Any) -> Any:
        """Parse ``results.json``."""
        return self.found_by_scheduler() or self._parse()

    def _parse(self) -> Any:
        results = self.read_results()
        if isinstance(results, ExitCode):
            return results
        exit_code = self.exit_code_of(results)
        if exit_code is not None:
            return exit_code
        environment = results.get("environment")
        if not isinstance(environment, dict) or not isinstance(environment.get("families"), dict):
            return self.unreadable(f"{contract.RESULTS_FILE} holds no environment")
        self.out("environment", Dict(environment))
        return None
