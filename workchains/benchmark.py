"""Many potentials on one surface set, side by side."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode, WorkChain
from aiida.orm import AbstractCode
from aiida.plugins import DataFactory, WorkflowFactory

from .environments import describe_builder, find_environment
from .surface_energy import validate_resources, validate_selection

SurfaceEnergyWorkChain: Any = WorkflowFactory("surfbench.surface_energy")
PotentialData: Any = DataFactory("surfbench.potential")


def validate_inputs(inputs: dict[str, Any], _: Any) -> str | None:
    """Return what is wrong with the inputs together, or ``None``."""
    potentials = inputs.get("potentials") or {}
    codes = inputs.get("codes") or {}
    if not potentials:
        return "potentials: give at least one."
    names: dict[str, str] = {}
    for row, potential in potentials.items():
        if potential.name in names:
            return f"potentials: {row} and {names[potential.name]} have the same name {potential.name!r}."
        names[potential.name] = row
        if row not in codes and potential.family not in codes:
            return (
                f"codes: none for the potential {potential.name!r}; give one under its family {potential.family!r} "
                f"or under {row!r}."
            )
    for code in codes.values():
        problem = validate_resources(code, inputs.get("job_options") or {})
        if problem:
            return problem
    return validate_selection(inputs, None)


class BenchmarkWorkChain(WorkChain):
    """Evaluate many potentials on one surface set; one that fails does not take the others down."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define ports, outline and exit codes."""
        super().define(spec)
        spec.expose_inputs(SurfaceEnergyWorkChain, exclude=("metadata", "code", "potential", "environment"))
        spec.input_namespace(
            "potentials", valid_type=PotentialData, dynamic=True, help="The potentials, one per row of the table."
        )
        spec.input_namespace(
            "codes",
            valid_type=AbstractCode,
            dynamic=True,
            help="The Codes by family; or by the potential's key, where one of a family needs its own.",
        )
        spec.inputs.validator = validate_inputs
        spec.outline(cls.describe_codes, cls.run_potentials, cls.collect)
        spec.output_namespace("results", dynamic=True, help="Per potential: predictions, surface_energies and metrics.")
        spec.exit_code(
            404,
            "ERROR_SOME_FAILED",
            message="{n_failed} of {n} potentials failed, the others have results: {reason}. "
            "See `aiida-surfbench status PK`.",
        )
        spec.exit_code(405, "ERROR_ALL_FAILED", message="All {n} potentials failed: {reason}")

    def describe_codes(self) -> None:
        """Describe each Code that nothing is known of, once; the chains find the descriptions by themselves.

        What fails here fails again in the chains of that Code, which say so for their potentials.
        """
        codes = {self._code_of(row).uuid: self._code_of(row) for row in self.inputs.potentials}
        device = self.inputs.execution.get_dict().get("device", "cpu")
        for number, code in enumerate(codes.values()):
            if find_environment(code, device) is None:
                builder = describe_builder(code, self.inputs)
                self.to_context(**{f"describe_{number}": self.submit(builder)})

    def _code_of(self, row: str) -> AbstractCode:
        code: AbstractCode = self.inputs.codes.get(row) or self.inputs.codes[self.inputs.potentials[row].family]
        return code

    def run_potentials(self) -> None:
        """Start one chain per potential, all at once."""
        children = {}
        for row, potential in self.inputs.potentials.items():
            # A builder, not keywords: an input called `runner` cannot be a keyword of submit
            builder = SurfaceEnergyWorkChain.get_builder()
            for name, value in self.exposed_inputs(SurfaceEnergyWorkChain).items():
                builder[name] = value
            builder.potential = potential
            builder.code = self._code_of(row)
            builder.metadata.call_link_label = row
            builder.metadata.label = potential.name
            children[_key(row)] = self.submit(builder)
        self.to_context(**children)

    def collect(self) -> ExitCode | None:
        """Attach what each chain gave, and count failures."""
        reasons = []
        for row in self.inputs.potentials:
            node = self.ctx[_key(row)]
            for name in ("predictions", "surface_energies", "metrics"):
                if name in node.outputs:
                    self.out(f"results.{row}.{name}", node.outputs[name])
            if not node.is_finished_ok:
                reasons.append(f"{self.inputs.potentials[row].name}: {node.exit_message or node.process_state.value}")
        n = len(self.inputs.potentials)
        if not reasons:
            return None
        exit_code = self.exit_codes.ERROR_ALL_FAILED if len(reasons) == n else self.exit_codes.ERROR_SOME_FAILED
        result: ExitCode = exit_code.format(n=n, n_failed=len(reasons), reason="; ".join(reasons))
        return result


def _key(row: str) -> str:
    return f"potential_{row}"
