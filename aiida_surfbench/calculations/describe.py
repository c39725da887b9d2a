"""Ask a Code which families it can run, in which versions and on which device."""

from __future__ import annotations

from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec
from aiida.orm import Dict, ProcessNode

from ..runner import contract
from .runner_job import RunnerCalculation, set_default


class DescribeCalculation(RunnerCalculation):
    """Describe a potential's environment on the computer that will run it."""

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:  # type: ignore[override]
        """Define the ports."""
        super().define(spec)
        set_default(spec, "parser_name", "surfbench.describe")
        spec.output(
            "environment",
            valid_type=Dict,
            help="python, machine, device_class, package versions, and per family whether it imports.",
        )
        spec.default_output_node = "environment"

    @classmethod
    def is_valid_cache(cls, node: ProcessNode) -> bool:
        """Return that no description is ever copied: it asks what may have changed outside."""
        return False

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the job."""
        job = {"command": contract.DESCRIBE, "families": None, "execution": self.execution()}
        return self.runner_calcinfo(folder, job)
