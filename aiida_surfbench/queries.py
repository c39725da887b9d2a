"""From the profile to tidy records: what is there, and the error tables.

Records are plain dicts, one per row, with the uuid of the node each number comes from; :func:`to_frame` makes a
DataFrame of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from aiida.orm import Dict, ProcessNode, QueryBuilder, WorkChainNode

from .data.potential import PotentialData
from .data.structure_set import SurfaceSetData
from .data.surface_energies import SurfaceEnergiesData

SURFACE_ENERGY_TYPE = "aiida.workflows:surfbench.surface_energy"
BENCHMARK_TYPE = "aiida.workflows:surfbench.benchmark"

#: Where a metrics node keeps each kind of table.
TABLES = {"overall": "overall", "element": "by_element", "miller": "by_miller", "lattice": "by_lattice"}


@dataclass(frozen=True)
class Result:
    """What one SurfaceEnergyWorkChain gave."""

    workchain: ProcessNode
    structures: SurfaceSetData
    surface_energies: SurfaceEnergiesData
    metrics: Dict

    def labels(self) -> dict[str, Any]:
        """Return the columns that say where a row comes from."""
        return {
            "potential": self.surface_energies.potential,
            "dataset": self.structures.label,
            "workchain_pk": self.workchain.pk,
            "workchain_uuid": self.workchain.uuid,
        }


def datasets() -> list[dict[str, Any]]:
    """Return a record per surface set of the profile, oldest first."""
    names = ("n_slabs", "n_bulks", "elements", "has_references", "sha256")
    query = QueryBuilder().append(
        SurfaceSetData, project=["label", "id", "uuid", "ctime", *(f"attributes.{name}" for name in names)], tag="node"
    )
    query.order_by({"node": {"id": "asc"}})
    return [_record(("label", "pk", "uuid", "ctime", *names), row) for row in query.iterall()]


def potentials() -> list[dict[str, Any]]:
    """Return a record per potential of the profile, oldest first."""
    names = ("family", "storage", "tree_sha256")
    query = QueryBuilder().append(
        PotentialData, project=["label", "id", "uuid", "ctime", *(f"attributes.{name}" for name in names)], tag="node"
    )
    query.order_by({"node": {"id": "asc"}})
    return [_record(("label", "pk", "uuid", "ctime", *names), row) for row in query.iterall()]


def evaluations(node: ProcessNode) -> list[ProcessNode]:
    """Return the SurfaceEnergyWorkChains of a benchmark, in the order they started; of such a chain itself."""
    if node.process_type == SURFACE_ENERGY_TYPE:
        return [node]
    query = QueryBuilder()
    query.append(ProcessNode, filters={"id": node.pk}, tag="caller")
    query.append(
        WorkChainNode, filters={"process_type": SURFACE_ENERGY_TYPE}, with_incoming="caller", tag="chain", project="*"
    )
    query.order_by({"chain": {"id": "asc"}})
    return list(query.all(flat=True))


def recent_processes(limit: int | None = None) -> list[ProcessNode]:
    """Return the benchmarks, and the single evaluations no benchmark called, newest first."""
    query = QueryBuilder()
    query.append(
        WorkChainNode,
        filters={"process_type": {"in": [BENCHMARK_TYPE, SURFACE_ENERGY_TYPE]}},
        tag="chain",
        project="*",
    )
    query.order_by({"chain": {"id": "desc"}})
    found: list[ProcessNode] = []
    for (node,) in query.iterall():
        if node.process_type == BENCHMARK_TYPE or node.caller is None:
            found.append(node)
        if limit is not None and len(found) == limit:
            break
    return found


def results(nodes: Iterable[ProcessNode]) -> list[Result]:
    """Return what the evaluations of the given processes gave; each once; those without metrics are left out."""
    found = []
    seen: set[str] = set()
    for node in nodes:
        for chain in evaluations(node):
            if "metrics" in chain.outputs and chain.uuid not in seen:
                seen.add(chain.uuid)
                outputs = chain.outputs
                found.append(Result(chain, chain.inputs.structures, outputs.surface_energies, outputs.metrics))
    return found


def metrics_records(items: Sequence[tuple[Result, Dict]], by: str) -> list[dict[str, Any]]:
    """Return error records.

    :param items: results, each with the metrics node to read (its own, or one restricted to a selection).
    :param by: ``overall``, ``element``, ``miller`` or ``lattice``.
    """
    records = []
    for result, metrics in items:
        table = metrics.base.attributes.get(TABLES[by])
        for row in [table] if by == "overall" else table:
            records.append({**result.labels(), "metrics_uuid": metrics.uuid, **row})
    return records


def structure_records(items: Sequence[Result], ids: set[str] | None = None) -> list[dict[str, Any]]:
    """Return one record per slab and potential.

    :param ids: restricts to these structures.
    """
    records = []
    for result in items:
        uuid = result.surface_energies.uuid
        for row in result.surface_energies.rows():
            if row["role"] == "slab" and (ids is None or row["structure_id"] in ids):
                records.append({**result.labels(), "surface_energies_uuid": uuid, **row})
    return records


def to_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return records as a DataFrame."""
    return pd.DataFrame.from_records([dict(record) for record in records])


def _record(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    record = dict(zip(names, values, strict=True))
    record["ctime"] = record["ctime"].isoformat(timespec="seconds")
    return record
