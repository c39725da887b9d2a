"""What the CalcJobs that start the runner have in common."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from typing import Any, cast

from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJob, CalcJobProcessSpec
from aiida.orm import Dict, QueryBuilder, SinglefileData

from ..runner import contract
from ..runner.build import build_runner


def get_runner() -> SinglefileData:
    """Return the node of this version's runner: the stored one if there is one, else a new one."""
    content = build_runner()
    digest = hashlib.sha256(content).hexdigest()
    query = QueryBuilder().append(
        SinglefileData, filters={"attributes.sha256": digest, "attributes.filename": contract.RUNNER_FILE}
    )
    for stored in query.all(flat=True):
        if stored.get_content(mode="rb") == content:  # an attribute can say anything, in an imported node above all
            return cast(SinglefileData, stored)
    node = SinglefileData(io.BytesIO(content), filename=contract.RUNNER_FILE)
    node.base.attributes.set("sha256", digest)
    node.label = "surfbench runner"
    return node


def validate_execution(value: Dict | None, _: Any) -> str | None:
    """Return what is wrong with the input ``execution``, or ``None``."""
    return contract.check_execution(value.get_dict()) if value is not None else None


def set_default(spec: CalcJobProcessSpec, option: str, value: Any) -> None:
    """Set the default of one of ``metadata.options``."""
    metadata: Any = spec.inputs["metadata"]
    port = metadata["options"][option]
    port.default = value
    port.required = False  # else a builder that is given other options asks for this one, despite the default


class RunnerCalculation(CalcJob):
    """A CalcJob that starts the runner: the Code is the Python of a potential's environment."""

    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:  # type: ignore[override]
        """Define what every runner job has."""
        super().define(spec)
        set_default(spec, "resources", {"num_machines": 1, "num_mpiprocs_per_machine": 1})
        set_default(spec, "withmpi", False)
        spec.input(
            "runner",
            valid_type=SinglefileData,
            default=get_runner,
            help="The runner as a zipapp; by default the one of the installed version.",
        )
        spec.input(
            "execution",
            valid_type=Dict,
            default=lambda: Dict(contract.DEFAULT_EXECUTION),
            validator=validate_execution,
            help="How to run, without influence on numbers: device, workers, batch_atoms, max_seconds.",
        )
        spec.exit_code(
            310,
            "ERROR_RESULTS_MISSING",
            message="The runner left no results.json ({reason}): see `verdi calcjob outputcat PK runner.err`, and the "
            "scheduler's messages with `verdi calcjob gotocomputer PK`. Check that the Code is a Python >= 3.9.",
            invalidates_cache=True,
        )
        spec.exit_code(
            311,
            "ERROR_RESULTS_UNREADABLE",
            message="What the runner left cannot be read: {reason}. Run again; if it stays, report it.",
            invalidates_cache=True,
        )
        spec.exit_code(210, "ERROR_BAD_JOB", message="The runner refused the job: {reason}")
        spec.exit_code(211, "ERROR_NOT_AVAILABLE", message="{reason}")
        spec.exit_code(410, "ERROR_FAMILY_NOT_INSTALLED", message="{reason}", invalidates_cache=True)
        spec.exit_code(412, "ERROR_DEVICE_UNAVAILABLE", message="{reason}", invalidates_cache=True)
        spec.exit_code(
            490,
            "ERROR_UNEXPECTED",
            message="The runner failed: {reason}. See `verdi calcjob outputcat PK runner.err`.",
            invalidates_cache=True,
        )

    def runner_calcinfo(
        self,
        folder: Folder,
        job: dict[str, Any],
        copies: Sequence[tuple[str, str, str]] = (),
        retrieve: Sequence[Any] = (),
    ) -> CalcInfo:
        """Write ``job.json`` and return the CalcInfo of a runner job.

        :param job: the job without schema version.
        :param copies: further entries of the local copy list: (node uuid, path in the node, path in the job's folder).
        :param retrieve: further entries of the retrieve list.
        """
        document = {"schema_version": contract.SCHEMA_VERSION, **job}
        with folder.open(contract.JOB_FILE, "w") as handle:
            json.dump(document, handle, indent=1, allow_nan=False)
        codeinfo = CodeInfo()
        codeinfo.code_uuid = self.inputs.code.uuid
        codeinfo.cmdline_params = [contract.RUNNER_FILE, job["command"], contract.JOB_FILE]
        codeinfo.stdout_name = contract.STDOUT_FILE
        codeinfo.stderr_name = contract.STDERR_FILE
        calcinfo = CalcInfo()
        calcinfo.codes_info = [codeinfo]
        runner = self.inputs.runner
        calcinfo.local_copy_list = [(runner.uuid, runner.filename, contract.RUNNER_FILE), *copies]
        calcinfo.retrieve_list = [contract.RESULTS_FILE, contract.STDOUT_FILE, contract.STDERR_FILE, *retrieve]
        return calcinfo

    def execution(self) -> dict[str, Any]:
        """Return the complete ``execution`` block."""
        return {**contract.DEFAULT_EXECUTION, **self.inputs.execution.get_dict()}
