"""``aiida-surfbench status``: what runs, what is done, what failed and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .output import print_records
from .root import cli, with_profile

if TYPE_CHECKING:
    from aiida.orm import ProcessNode


@cli.command("status")
@click.argument("identifier", required=False, metavar="[PK]")
@with_profile
def status(identifier: str | None) -> None:
    """Show the benchmarks of the profile; with PK the potentials of one, how far each is and what went wrong."""
    from ..queries import evaluations, recent_processes
    from .table import load_process

    if identifier is None:
        nodes = recent_processes(20)
        if not nodes:
            click.echo("No benchmark yet; start one with `aiida-surfbench run`.")
            return
        records = [
            {
                "pk": node.pk,
                "started": node.ctime.strftime("%Y-%m-%d %H:%M"),
                "dataset": node.inputs.structures.label,
                "potentials": ", ".join(chain.inputs.potential.name for chain in evaluations(node)),
                "state": state_of(node),
            }
            for node in nodes
        ]
        print_records(records, "rich")
        return
    node = load_process(identifier)
    click.echo(f"{node.process_label} <{node.pk}> {node.uuid}: {state_of(node)}")
    chains = evaluations(node)
    if chains:
        print_records([_evaluation(chain) for chain in chains], "rich")
    elif node.is_terminated and not node.is_finished_ok:
        click.echo(f"{reason_of(node)}\n  Look closer with: verdi process report {node.pk}")
    for chain in chains:
        if chain.is_terminated and not chain.is_finished_ok:
            click.echo(f"{chain.inputs.potential.name}: {reason_of(chain)}")
            click.echo(f"  Look closer with: verdi process report {chain.pk}")


def state_of(node: ProcessNode) -> str:
    """Return a process's state in a word or two."""
    if node.is_finished:
        return "done" if node.is_finished_ok else f"failed ({node.exit_status})"
    return str(node.process_state.value) if node.process_state else "created"


def reason_of(node: ProcessNode) -> str:
    """Return why a process that ended did not finish well."""
    state = node.process_state.value if node.process_state else "lost"
    return node.exit_message or node.exception or f"the process was {state}"


def _evaluation(chain: ProcessNode) -> dict[str, object]:
    from .progress import predict_jobs, structures_done

    jobs = predict_jobs(chain)
    done, total = structures_done(jobs[-1]) if jobs else (0, chain.inputs.structures.n_structures)
    n_failed = jobs[-1].outputs.predictions.n_failed if jobs and "predictions" in jobs[-1].outputs else None
    return {
        "potential": chain.inputs.potential.name,
        "state": state_of(chain),
        "structures": f"{done} of {total}",
        "failed structures": n_failed,
        "code": chain.inputs.code.full_label,
        "pk": chain.pk,
    }
