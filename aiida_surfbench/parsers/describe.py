"""Parser of DescribeCalculation."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode
from aiida.orm import Dict

from .runner_results import RunnerParser


class DescribeParser(RunnerParser):
    """Turn the runner's description of its environment into a node."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Parse ``results.json``."""
        results = self.read_results()
        if isinstance(results, ExitCode):
            return results
        exit_code = self.exit_code_of(results)
        if exit_code is not None:
            return exit_code
        self.out("environment", Dict(results["environment"]))
        return None
