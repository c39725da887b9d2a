"""``aiida-surfbench dataset``: structure sets."""

from __future__ import annotations

from pathlib import Path

import click

from .output import format_option, print_records
from .root import cli, program, with_profile


@cli.group("dataset")
def dataset() -> None:
    """Bring in, list, show and export structure sets."""


@dataset.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-l", "--label", required=True, help="What to call the set.")
@click.option("--no-references", is_flag=True, help="The file brings no DFT energies: only compare potentials.")
@with_profile
def import_(file: Path, label: str, no_references: bool) -> None:
    """Store the slabs and bulks of a structure-set FILE (extended XYZ)."""
    from ..ingestion import import_surface_set

    node = import_surface_set(file, label, references=not no_references)
    click.echo(
        f"Stored {label!r} <{node.pk}>: {node.n_slabs} slabs and {node.n_bulks} bulks of {len(node.elements)} elements."
    )
    click.echo(f"Next: {program()} run --dataset {label} --potential chgnet-0.3.0")


@dataset.command("list")
@format_option
@with_profile
def list_(output_format: str) -> None:
    """List the structure sets of the profile."""
    from ..queries import datasets

    records = datasets()
    if not records and output_format == "rich":
        click.echo("No dataset yet. Bring one in with: aiida-surfbench dataset import FILE --label L")
        return
    headers = {"label": "label", "pk": "pk", "n_slabs": "slabs", "n_bulks": "bulks", "elements": "elements"}
    rows = [{**record, "elements": " ".join(record["elements"])} for record in records]
    print_records(records if output_format == "json" else rows, output_format, headers)


@dataset.command("show")
@click.argument("label")
@with_profile
def show(label: str) -> None:
    """Show what a structure set holds."""
    from collections import Counter

    from ..data.structure_set import SurfaceSetData
    from ..ingestion import load_labelled

    node = load_labelled(SurfaceSetData, label, "dataset")
    rows = node.rows()
    click.echo(f"{node.label} <{node.pk}> {node.uuid}")
    click.echo(f"slabs {node.n_slabs}, bulks {node.n_bulks}, references {'yes' if node.has_references else 'no'}")
    click.echo(f"sha256 {node.sha256}")
    for key, value in node.base.attributes.get("source").items():
        click.echo(f"{key}: {value}")
    slabs = [row for row in rows if row["role"] == "slab"]
    for name in ("element", "miller_index"):
        counts = Counter(str(row[name]).replace(", ", " ") for row in slabs)
        click.echo(f"slabs by {name}: " + ", ".join(f"{key} {count}" for key, count in sorted(counts.items())))
    derived = sum(row["dft_energy"] is None for row in slabs)
    if node.has_references and derived:
        click.echo(f"{derived} slabs bring no total energy: their slab energy is derived by Eq. 1.")


@dataset.command("export")
@click.argument("label")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@with_profile
def export(label: str, file: Path, force: bool) -> None:
    """Write a structure set as a structure-set FILE, every digit kept."""
    from ..data.structure_set import SurfaceSetData
    from ..ingestion import load_labelled

    node = load_labelled(SurfaceSetData, label, "dataset")
    if file.exists() and not force:
        raise click.ClickException(f"{file} exists; choose another name or add --force.")
    if not file.parent.is_dir():
        raise click.ClickException(f"There is no folder {file.parent}.")
    partial = file.with_name(file.name + ".part")  # what was there stays until all is written
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as stream:
            count = node.write_structures(stream)
        partial.replace(file)
    except OSError as exception:
        partial.unlink(missing_ok=True)
        raise click.ClickException(f"{file} cannot be written: {exception.strerror}.") from exception
    click.echo(f"Wrote {count} structures to {file}.")
