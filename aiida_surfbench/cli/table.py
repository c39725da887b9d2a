"""``aiida-surfbench table``: the error tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from .output import format_option, print_records
from .root import cli, with_profile
from .status import reason_of

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

COUNTS = {"n_bulks": "bulks", "n_slabs": "slabs", "n_failed": "failed"}
ERRORS = {
    "bulk_energy_rmse_ev_per_atom": "bulk RMSE\neV/atom",
    "slab_energy_rmse_ev_per_atom": "slab RMSE\neV/atom",
    "surface_energy_rmse_j_m2": "γ RMSE\nJ/m²",
    "surface_energy_rmse_ci95_j_m2": "95 %\nJ/m²",
    "surface_energy_mae_j_m2": "γ MAE\nJ/m²",
    "surface_energy_bias_j_m2": "γ bias\nJ/m²",
    "surface_energy_r2": "γ\nR²",
    "surface_energy_slope": "γ\nslope",
}
#: What a narrow terminal does without: bulk, slab and surface errors, failures and the interval always stay.
OPTIONAL = ("surface_energy_r2", "surface_energy_mae_j_m2", "surface_energy_slope", "n_bulks")
HEADERS = {
    "overall": {"potential": "potential", **COUNTS, **ERRORS},
    "element": {"potential": "potential", "element": "element", **COUNTS, **ERRORS},
    "miller": {"potential": "potential", "miller_index": "hkl", **COUNTS, **ERRORS},
    "lattice": {"potential": "potential", "lattice": "lattice", **COUNTS, **ERRORS},
    "structure": {
        "potential": "potential",
        "structure_id": "structure",
        "element": "element",
        "miller_index": "hkl",
        "n_atoms": "atoms",
        "surface_energy_dft_j_m2": "γ DFT\nJ/m²",
        "surface_energy_ml_j_m2": "γ ML\nJ/m²",
        "error_j_m2": "error\nJ/m²",
        "status": "status",
        "reason": "reason",
    },
}


@cli.command("table")
@click.argument("identifiers", nargs=-1, metavar="[PK]...")
@click.option("--all", "all_", is_flag=True, help="All benchmarks of the profile.")
@click.option("--by", type=click.Choice(list(HEADERS)), default="overall", show_default=True)
@click.option("--common", is_flag=True, help="Only slabs for which every potential has a surface energy.")
@format_option
@with_profile
def table(identifiers: tuple[str, ...], all_: bool, by: str, common: bool, output_format: str) -> None:
    """Print errors against DFT of one or more benchmarks; without PK of the newest.

    Errors are ML − DFT; intervals are 95 %, from resampling bulks with all their slabs. "derived" slab energies come
    from the surface energy by Eq. 1, not from a calculation of their own. Miller indices are those of the set: hcp's
    10-10 stands as 100 with the cubic ones.
    """
    from ..data.selection import read_selection
    from ..launch import restrict, select_common
    from ..queries import metrics_records, recent_processes, results, structure_records

    if all_ and identifiers:
        raise click.UsageError("Give PKs or --all, not both.")
    if identifiers:
        nodes = [load_process(identifier) for identifier in identifiers]
    else:
        nodes = recent_processes(None if all_ else 1)[::-1]
    if not nodes:
        raise click.ClickException("There is no benchmark in the profile yet; start one with `aiida-surfbench run`.")
    _mention_failures(nodes)
    found = results(nodes)
    if not found:
        raise click.ClickException("None of these has results yet; see `aiida-surfbench status`.")
    selection = select_common(found) if common else None
    if by == "structure":
        ids = None if selection is None else set(read_selection(selection))
        print_records(structure_records(found, ids), output_format, HEADERS[by])
        return
    items = [(result, result.metrics if selection is None else restrict(result, selection)) for result in found]
    print_metrics(metrics_records(items, by), by, output_format)


def load_process(identifier: str) -> ProcessNode:
    """Return the benchmark or evaluation a pk or uuid names."""
    from aiida.common.exceptions import MultipleObjectsError, NotExistent
    from aiida.orm import ProcessNode, load_node

    from ..ingestion import IngestionError
    from ..queries import BENCHMARK_TYPE, SURFACE_ENERGY_TYPE

    try:
        node = load_node(identifier)
    except (NotExistent, MultipleObjectsError, ValueError):
        raise IngestionError(
            f"There is no benchmark {identifier!r} in the profile; `aiida-surfbench status` lists them by pk."
        ) from None
    if not isinstance(node, ProcessNode) or node.process_type not in (BENCHMARK_TYPE, SURFACE_ENERGY_TYPE):
        raise IngestionError(f"Node {identifier} is no benchmark but a {type(node).__name__}.")
    return node


def print_metrics(records: Sequence[dict[str, Any]], by: str, output_format: str) -> None:
    """Print error records, with a mark where slab energies are derived."""
    if output_format not in ("rich", "markdown"):
        print_records(records, output_format)
        return
    shown = [dict(record) for record in records]
    derived = [record for record in shown if record["slab_energy_derived"]]
    for record in derived:
        value = record["slab_energy_rmse_ev_per_atom"]
        record["slab_energy_rmse_ev_per_atom"] = None if value is None else f"{value:.3f}*"
    datasets = sorted({str(record["dataset"]) for record in shown})
    headers = dict(HEADERS[by]) if len(datasets) < 2 else {"dataset": "dataset", **HEADERS[by]}
    print_records(
        shown,
        output_format,
        headers,
        title=f"Errors against DFT (ML − DFT) on {', '.join(datasets)}",
        optional=OPTIONAL,
    )
    if derived:
        click.echo("* derived: from the surface energy by Eq. 1, these slabs bring no total energy of their own.")


def _mention_failures(nodes: Sequence[ProcessNode]) -> None:
    from ..queries import evaluations

    for node in nodes:
        for chain in evaluations(node):
            if chain.is_terminated and not chain.is_finished_ok:
                click.echo(f"No row for {chain.inputs.potential.name} <{chain.pk}>: {reason_of(chain)}", err=True)
