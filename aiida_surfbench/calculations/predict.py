"""The one door to a potential: predict energies, forces and stresses of a structure set."""

from __future__ import annotations

import io
from typing import Any

from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJobProcessSpec
from aiida.orm import Dict, SinglefileData

from ..data.potential import PotentialData
from ..data.predictions import PredictionsData
from ..data.selection import check_selection, read_selection
from ..data.structure_set import StructureSetData
from ..runner import contract
from .runner_job import RunnerCalculation, set_default


def validate_options(value: Dict | None, _: Any) -> str | None:
    """Return what is wrong with the input ``options``, or ``None``."""
    return contract.check_options(value.get_dict()) if value is not None else None


def validate_inputs(inputs: dict[str, Any], _: Any) -> str | None:
    """Return what is wrong with the inputs together, or ``None``."""
    if "structures" not in inputs or "potential" not in inputs:
        return None  # their own ports say so
    if "selection" in inputs:
        return check_selection(read_selection(inputs["selection"]), inputs["structures"].ids)
    return None


class PredictCalculation(RunnerCalculation):
    """Predict properties of many structures with one potential, in one job."""

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:  # type: ignore[override]
        """Define the ports."""
        super().define(spec)
        set_default(spec, "parser_name", "surfbench.predict")
        spec.input("potential", valid_type=PotentialData, help="The potential.")
        spec.input("structures", valid_type=StructureSetData, help="The structures.")
        spec.input(
            "selection",
            valid_type=SinglefileData,
            required=False,
            help="A file with the structure ids to predict, one a line; without it all are meant.",
        )
        spec.input(
            "environment",
            valid_type=Dict,
            required=False,
            help="What DescribeCalculation said of the Code; the runner stops if it is no longer so.",
        )
        spec.input(
            "options",
            valid_type=Dict,
            default=lambda: Dict(contract.DEFAULT_OPTIONS),
            validator=validate_options,
            help="What can change a number: properties (energy, forces, stress), geometry, dtype.",
        )
        spec.inputs.validator = validate_inputs
        spec.output("predictions", valid_type=PredictionsData, help="One row per structure, failures included.")
        spec.exit_code(
            220,
            "ERROR_STRUCTURES_UNREADABLE",
            message="The runner could not read the structures: {reason}",
        )
        spec.exit_code(
            312,
            "ERROR_PREDICTIONS_INCOMPLETE",
            message="The runner answered for {found} of {expected} structures ({reason}); what came is in the output "
            "predictions. Run again.",
            invalidates_cache=True,
        )
        spec.exit_code(411, "ERROR_ENVIRONMENT_CHANGED", message="{reason}", invalidates_cache=True)
        spec.exit_code(420, "ERROR_WEIGHTS_MISSING", message="{reason}", invalidates_cache=True)
        spec.exit_code(421, "ERROR_WEIGHTS_ALTERED", message="{reason}", invalidates_cache=True)
        spec.exit_code(422, "ERROR_WEIGHTS_UNTRUSTED", message="{reason}")
        spec.exit_code(423, "ERROR_POTENTIAL_UNREADABLE", message="{reason}")
        spec.exit_code(430, "ERROR_OUT_OF_MEMORY", message="{reason}", invalidates_cache=True)
        spec.exit_code(
            501,
            "ERROR_NO_STRUCTURE_USABLE",
            message="None of the {expected} structures could be predicted; the first reason: {reason}. All reasons are "
            "in the output predictions: use a potential that knows the elements, or mend the structures.",
            invalidates_cache=True,
        )

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the job, its structures and the potential's files."""
        potential = self.inputs.potential
        job = {
            "command": contract.PREDICT,
            "structures": contract.STRUCTURES_FILE,
            "n_structures": self._write_structures(folder),
            "potential": potential.job_description(contract.POTENTIAL_FOLDER),
            "options": {**contract.DEFAULT_OPTIONS, **self.inputs.options.get_dict()},
            "execution": self.execution(),
            "environment": self.inputs.environment.get_dict() if "environment" in self.inputs else None,
        }
        retrieve = [contract.HEARTBEAT_FILE, (f"{contract.PARTS_FOLDER}/*", ".", 2)]
        copies = [
            (potential.uuid, path, f"{contract.POTENTIAL_FOLDER}/{logical}")
            for logical, path in potential.embedded_files().items()
        ]
        calcinfo = self.runner_calcinfo(folder, job, copies, retrieve)
        # Known from the inputs, so not stored a second time
        calcinfo.provenance_exclude_list = [contract.STRUCTURES_FILE]
        return calcinfo

    def _write_structures(self, folder: Folder) -> int:
        ids = read_selection(self.inputs.selection) if "selection" in self.inputs else None
        with folder.open(contract.STRUCTURES_FILE, "wb") as handle:
            stream = io.TextIOWrapper(handle, encoding="utf-8", newline="\n")
            count = self.inputs.structures.write_structures(stream, ids)
            stream.flush()
            stream.detach()
        return int(count)
