"""One potential on one surface set: predictions, surface energies, metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.engine import ToContext, WorkChain, if_, while_
from aiida.orm import AbstractCode, Dict, Int
from aiida.plugins import CalculationFactory, DataFactory

from aiida_surfbench.data.selection import check_surface_selection, read_selection

from .environments import describe_builder, find_environment

PredictCalculation: Any = CalculationFactory("surfbench.predict")
compute_surface_energies: Any = CalculationFactory("surfbench.compute_surface_energies")
compute_metrics: Any = CalculationFactory("surfbench.compute_metrics")
SurfaceSetData: Any = DataFactory("surfbench.surface_set")
SurfaceEnergiesData: Any = DataFactory("surfbench.surface_energies")

DEFAULT_METRICS = {"n_resamples": 1000, "seed": 0, "algorithm_version": 1}
SURFACE_ENERGY_VERSION = 1


def validate_metrics(value: Dict | None, _: Any) -> str | None:
    """Return what is wrong with the input ``metrics_settings``, or ``None``."""
    if value is None:
        return None
    settings = value.get_dict()
    unknown = sorted(set(settings) - set(DEFAULT_METRICS))
    if unknown:
        return f"metrics_settings has unknown keys {', '.join(unknown)}; known are {', '.join(DEFAULT_METRICS)}."
    for key, given in settings.items():
        lowest = 0 if key == "seed" else 1
        if isinstance(given, bool) or not isinstance(given, int) or given < lowest:
            return f"metrics_settings.{key} must be a whole number of at least {lowest}; got {given!r}."
    version, installed = settings.get("algorithm_version"), DEFAULT_METRICS["algorithm_version"]
    if version not in (None, installed):
        return f"metrics_settings.algorithm_version is {version}, this version of aiida-surfbench has {installed}."
    return None


def validate_job_options(value: Mapping[str, Any] | None, _: Any) -> str | None:
    """Return what is wrong with the input ``job_options``, or ``None``."""
    known = PredictCalculation.spec().inputs["metadata"]["options"]
    unknown = sorted(set(value or {}) - set(known))
    if unknown:
        return f"job_options has unknown keys {', '.join(unknown)}; known are {', '.join(sorted(known))}."
    for key, given in (value or {}).items():
        problem = known[key].validate(given)
        if problem is not None:
            return f"job_options.{key}: {problem.message}"
    return None


def validate_resources(code: AbstractCode, job_options: Mapping[str, Any]) -> str | None:
    """Return what the scheduler of a Code's computer cannot make of ``job_options.resources``, or ``None``."""
    resources = job_options.get("resources")
    if resources is None or code.computer is None:
        return None
    scheduler = code.computer.get_scheduler()
    resources = dict(resources)
    try:
        scheduler.preprocess_resources(resources, code.computer.get_default_mpiprocs_per_machine())
        scheduler.validate_resources(**resources)
    except (ValueError, TypeError) as exception:
        return f"job_options.resources does not suit the scheduler {code.computer.scheduler_type}: {exception}"
    return None


def validate_inputs(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return what is wrong with the inputs together, or ``None``."""
    if "code" in inputs:
        problem = validate_resources(inputs["code"], inputs.get("job_options") or {})
        if problem:
            return problem
    return validate_selection(inputs, None)


def validate_selection(inputs: Mapping[str, Any], _: Any) -> str | None:
    """Return what is wrong with the input ``selection``, or ``None``."""
    if "selection" not in inputs or "structures" not in inputs:
        return None
    return check_surface_selection(read_selection(inputs["selection"]), inputs["structures"].rows())


class SurfaceEnergyWorkChain(WorkChain):
    """Evaluate one potential on a surface set.

    Describes the Code's environment where that was not done before, predicts all structures in one job, computes
    surface energies (Eq. 1 of Focassio, Freitas, Schleder 2024) and the error table.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.expose_inputs(PredictCalculation, exclude=("metadata", "monitors", "structures"))
        spec.input("structures", valid_type=SurfaceSetData, help="The slabs with their bulks.")
        spec.input(
            "metrics_settings",
            valid_type=Dict,
            default=lambda: Dict(DEFAULT_METRICS),
            validator=validate_metrics,
            help="Of the bootstrap: n_resamples and seed.",
        )
        spec.input(
            "job_options",
            valid_type=dict,
            non_db=True,
            default=dict,
            validator=validate_job_options,
            help="metadata.options of the jobs: resources, account, queue_name, max_wallclock_seconds, …",
        )
        spec.inputs.validator = validate_inputs
        step: Any = cls  # AiiDA's types want methods of WorkChain itself
        spec.outline(
            step.setup,
            while_(step.should_predict)(
                if_(step.should_describe)(step.describe, step.inspect_describe),
                step.predict,
                step.inspect_predict,
            ),
            step.compute,
        )
        spec.expose_outputs(PredictCalculation, include=("predictions",))
        spec.output("surface_energies", valid_type=SurfaceEnergiesData, help="One row per structure.")
        spec.output("metrics", valid_type=Dict, help="The error table.")
        spec.exit_code(401, "ERROR_DESCRIBE_FAILED", message="The Code's environment could not be described: {reason}")
        spec.exit_code(402, "ERROR_PREDICT_FAILED", message="{reason}")
        spec.exit_code(403, "ERROR_FAMILY_NOT_INSTALLED", message="{reason}")

    def setup(self) -> None:
        """Find out what is known of the environment."""
        execution = self.inputs.execution.get_dict()
        self.ctx.device = execution.get("device", "cpu")
        self.ctx.environment = self.inputs.get("environment")
        if self.ctx.environment is None:
            found = find_environment(self.inputs.code, self.ctx.device)
            # One that lacks the family may be out of date: it is described again
            self.ctx.environment = None if found is None or self._lacking(found) else found
        self.ctx.described = False
        self.ctx.finished = False

    def _lacking(self, environment: Dict) -> str | None:
        """Return why an environment cannot run the potential's family, as far as it says so."""
        known = environment.get_dict().get("families", {}).get(self.inputs.potential.family)
        return str(known["reason"]) if known is not None and not known["importable"] else None

    def should_predict(self) -> bool:
        """Return whether predictions are still missing."""
        return not self.ctx.finished

    def should_describe(self) -> bool:
        """Return whether nothing is known of the environment."""
        return self.ctx.environment is None

    def describe(self) -> Any:
        """Describe the environment on the scheduler the job will use."""
        return ToContext(describe=self.submit(describe_builder(self.inputs.code, self.inputs)))

    def inspect_describe(self) -> Any:
        """Take the description."""
        node = self.ctx.describe
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_DESCRIBE_FAILED.format(reason=_reason(node))
        self.ctx.environment = node.outputs.environment
        self.ctx.described = True
        return None

    def predict(self) -> Any:
        """Predict all structures, unless the environment lacks the family."""
        lacking = self._lacking(self.ctx.environment)
        if lacking:
            code, family = self.inputs.code.full_label, self.inputs.potential.family
            return self.exit_codes.ERROR_FAMILY_NOT_INSTALLED.format(
                reason=f"The Code {code} cannot run the family {family}: {lacking}. Install it in that "
                "environment, or set up a Code of another with `aiida-surfbench code setup`."
            )
        builder = PredictCalculation.get_builder()
        for name, value in self.exposed_inputs(PredictCalculation).items():
            builder[name] = value
        builder.structures = self.inputs.structures
        builder.environment = self.ctx.environment
        builder.metadata = {"options": dict(self.inputs.job_options), "call_link_label": "predict"}
        return ToContext(predict=self.submit(builder))

    def inspect_predict(self) -> Any:
        """Go on with the predictions; describe again where the environment is no longer what it was."""
        node = self.ctx.predict
        if node.is_finished_ok:
            self.ctx.finished = True
            return None
        changed = node.exit_status == PredictCalculation.exit_codes.ERROR_ENVIRONMENT_CHANGED.status
        if changed and "environment" not in self.inputs and not self.ctx.described:
            self.report(f"{node.exit_message} Describing the Code again.")
            self.ctx.environment = None
            return None
        self.out_many(self.exposed_outputs(node, PredictCalculation))
        return self.exit_codes.ERROR_PREDICT_FAILED.format(reason=_reason(node))

    def compute(self) -> None:
        """Compute surface energies and metrics."""
        self.out_many(self.exposed_outputs(self.ctx.predict, PredictCalculation))
        inputs: dict[str, Any] = {
            "structures": self.inputs.structures,
            "predictions": self.ctx.predict.outputs.predictions,
            "potential": self.inputs.potential,
            "algorithm_version": Int(SURFACE_ENERGY_VERSION),
        }
        if "selection" in self.inputs:
            inputs["selection"] = self.inputs.selection
        surface_energies = compute_surface_energies(**inputs, metadata={"disable_cache": True})
        self.out("surface_energies", surface_energies)
        metrics = compute_metrics(
            surface_energies=surface_energies,
            settings=self.inputs.metrics_settings,
            metadata={"disable_cache": True},
        )
        self.out("metrics", metrics)


def _reason(node: Any) -> str:
    return f"{node.process_label} <{node.pk}> ended with {node.exit_status}: {node.exit_message}"
