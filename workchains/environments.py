"""Finding and finding out what is known of a Code's environment."""

from __future__ import annotations

from typing import Any

from aiida.orm import AbstractCode, Dict, QueryBuilder
from aiida.plugins import CalculationFactory

DescribeCalculation: Any = CalculationFactory("surfbench.describe")


def find_environment(code: AbstractCode, device: str) -> Dict | None:
    """Return the newest description of a Code's environment on a device, or ``None``.

    :param device: ``cpu`` or ``cuda``.
    """
    query = QueryBuilder()
    query.append(AbstractCode, filters={"uuid": code.uuid}, tag="code")
    query.append(DescribeCalculation, filters={"attributes.exit_status": 0}, with_incoming="code", tag="describe")
    query.append(
        Dict, filters={"attributes.device": device}, with_outgoing="describe", edge_filters={"label": "execution"}
    )
    query.append(Dict, with_incoming="describe", edge_filters={"label": "environment"}, tag="environment", project="*")
    query.order_by({"environment": {"id": "desc"}})
    environment: Dict | None = query.first(flat=True)
    return environment


def describe_builder(code: AbstractCode, inputs: Any) -> Any:
    """Return the builder of the job that describes a Code, on the scheduler the other jobs will use.

    A builder, not keywords: an input called ``runner`` cannot be a keyword of ``submit``.

    :param inputs: of the WorkChain: ``runner``, ``execution`` and ``job_options``.
    """
    builder = DescribeCalculation.get_builder()
    builder.code = code
    builder.runner = inputs.runner
    builder.execution = inputs.execution
    builder.metadata = {"options": dict(inputs.job_options), "call_link_label": "describe"}
    return builder
