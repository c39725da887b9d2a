"""``aiida-surfbench run``: evaluate potentials on a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .code import parse_job_options
from .root import cli, program, with_profile

if TYPE_CHECKING:
    from aiida.orm import AbstractCode, ProcessNode

    from ..data.potential import PotentialData


@cli.command("run")
@click.option("--dataset", required=True, metavar="L", help="Label, pk or uuid of the structure set.")
@click.option("--potential", "names", multiple=True, required=True, metavar="P", help="Label, or a registry name.")
@click.option("--code", "codes", multiple=True, metavar="FAMILY=CODE", help="By default this Python on localhost.")
@click.option("--elements", metavar="A,B,…", help="Only slabs of these (column `element`).")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--batch-atoms", type=click.IntRange(min=1), help="Atoms per batch; by default the family's own.")
@click.option(
    "--job-option", "job_options", multiple=True, metavar="KEY=VALUE", help="E.g. max_wallclock_seconds=3600."
)
@click.option("--submit/--wait", "submit_only", default=False, help="Return at once, or wait for the end (default).")
@with_profile
def run(
    dataset: str,
    names: tuple[str, ...],
    codes: tuple[str, ...],
    elements: str | None,
    device: str,
    batch_atoms: int | None,
    job_options: tuple[str, ...],
    submit_only: bool,
) -> None:
    """Evaluate potentials on a dataset: energies, surface energies and the error table.

    Without a running daemon it runs in place; with one it is submitted and followed.
    """
    from ..data.structure_set import SurfaceSetData
    from ..ingestion import load_labelled
    from ..launch import build_benchmark, select_elements
    from . import engine

    if submit_only:
        engine.check_daemon()
    structures = load_labelled(SurfaceSetData, dataset, "dataset")
    potentials = [get_potential(name) for name in names]
    loaded = _load_codes(codes)
    families = sorted({potential.family for potential in potentials})
    for family in loaded:
        if family not in families:
            raise click.BadParameter(
                f"no potential of this run is of the family {family!r}; they are of {', '.join(families)}",
                param_hint="--code",
            )
    selection = None if elements is None else select_elements(structures, _split(elements))
    execution = {"device": device, "batch_atoms": batch_atoms}
    try:
        builder = build_benchmark(structures, potentials, loaded, selection, execution, parse_job_options(job_options))
    except ValueError as exception:  # what the ports say of an input
        raise click.ClickException(str(exception)) from exception
    if submit_only:
        node = engine.submit(builder)
        click.echo(f"Submitted {node.process_label} <{node.pk}> {node.uuid}")
        click.echo(f"Follow it with: {program()} status {node.pk}")
        return
    report(engine.run(builder))


def get_potential(name: str) -> PotentialData:
    """Return the potential of a label, pk or uuid; a registry name not there yet is installed from its package."""
    from ..data.potential import PotentialData
    from ..ingestion import find_labelled, install_known_potential, load_labelled
    from ..potentials.registry import known_names

    if find_labelled(PotentialData, name) is None and name in known_names():
        node = install_known_potential(name)
        click.echo(f"Installed {name} <{node.pk}>.", err=True)
        return node
    return load_labelled(PotentialData, name, "potential")


def report(node: ProcessNode) -> None:
    """Print what a finished benchmark found; exit with an error where it failed."""
    from ..queries import metrics_records, results
    from .status import reason_of
    from .table import print_metrics

    found = results([node])
    if found:
        print_metrics(metrics_records([(result, result.metrics) for result in found], "overall"), "overall", "rich")
    click.echo(f"{node.process_label} <{node.pk}> {node.uuid}")
    if not node.is_finished_ok:
        raise click.ClickException(reason_of(node))
    click.echo(f"More: {program()} table {node.pk} --by element (or miller, lattice, structure)")


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _load_codes(pairs: tuple[str, ...]) -> dict[str, AbstractCode]:
    from aiida.common.exceptions import MultipleObjectsError, NotExistent
    from aiida.orm import load_code

    codes: dict[str, AbstractCode] = {}
    for pair in pairs:
        family, separator, label = pair.partition("=")
        if not separator or not family or not label:
            raise click.BadParameter(f"{pair!r} is not FAMILY=CODE", param_hint="--code")
        try:
            codes[family] = load_code(label)
        except MultipleObjectsError:
            raise click.BadParameter(
                f"there are several Codes {label!r}; write {label}@COMPUTER", param_hint="--code"
            ) from None
        except NotExistent:
            raise click.BadParameter(
                f"there is no Code {label!r}; `verdi code list` shows what there is, `aiida-surfbench code setup` "
                "makes one",
                param_hint="--code",
            ) from None
    return codes
