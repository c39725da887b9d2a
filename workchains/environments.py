"""Finding what is known of a Code's environment."""

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
