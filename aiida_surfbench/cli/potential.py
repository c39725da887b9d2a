"""``aiida-surfbench potential``: known and installed potentials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from .output import format_option, print_records
from .root import cli, command_errors, with_profile


@cli.group("potential")
def potential() -> None:
    """List known potentials, install and show them."""


@potential.command("known")
@format_option
@command_errors
def known(output_format: str) -> None:
    """List the potentials the registry knows."""
    from ..potentials import registry

    known_potentials = [registry.load_known(name) for name in registry.known_names()]
    records = [{**each.facts(), "available": each.available} for each in known_potentials]
    headers = {
        "name": "name",
        "family": "family",
        "n_parameters": "parameters",
        "training": "trained on",
        "licence": "licence",
        "available": "available",
    }
    if output_format in ("rich", "markdown"):
        records = [
            {**record, "training": record["training_set"]["name"], "licence": record["licence"]["spdx"]}
            for record in records
        ]
    print_records(records, output_format, headers)


@potential.command("install")
@click.argument("name")
@click.option("--file", "files", multiple=True, type=click.Path(path_type=Path), help="Weights, or their folder.")
@click.option("-l", "--label", help="What to call it; by default NAME.")
@click.option("--trust", multiple=True, metavar="SHA256", help="Allow this file to be unpickled: it can run code.")
@click.option("--reference", is_flag=True, help="Refer to the weights in the package instead of storing them.")
@click.option("--family", help="For a potential the registry does not know: chgnet, m3gnet or ase.")
@click.option("--factory", metavar="MODULE:CALLABLE", help="Family ase: what returns an ASE calculator.")
@click.option("--kwargs", "keywords", metavar="JSON", help="Family ase: the callable's keyword arguments.")
@click.option("--elements", metavar="A,B,…", help="Elements it was trained on, where the registry does not know.")
@with_profile
def install(
    name: str,
    files: tuple[Path, ...],
    label: str | None,
    trust: tuple[str, ...],
    reference: bool,
    family: str | None,
    factory: str | None,
    keywords: str | None,
    elements: str | None,
) -> None:
    """Store the potential NAME in the profile, weights included.

    A NAME of the registry (`potential known`) takes its weights from the installed package that ships them, or from
    --file. Any other NAME needs --family.
    """
    from ..ingestion import install_known_potential, install_potential

    if family is None:
        if factory or keywords or elements:
            raise click.UsageError("--factory, --kwargs and --elements go with --family.")
        node = install_known_potential(name, files, label=label, trust=trust, reference=reference)
    else:
        if reference:
            raise click.UsageError("--reference is for potentials of the registry.")
        config: dict[str, Any] = {}
        if factory or keywords:
            config = {"factory": factory or "", "kwargs": _json_object(keywords)}
        symbols = None if elements is None else _elements(elements)
        node = install_potential(
            family, name if label is None else label, paths=files, config=config, elements=symbols, trust=trust
        )
    click.echo(f"Stored {node.label!r} <{node.pk}>, family {node.family}, {node.storage}.")


@potential.command("list")
@format_option
@with_profile
def list_(output_format: str) -> None:
    """List the potentials of the profile."""
    from ..queries import potentials

    records = potentials()
    if not records and output_format == "rich":
        click.echo("No potential yet. Install one with: aiida-surfbench potential install chgnet-0.3.0")
        return
    print_records(
        records,
        output_format,
        {"label": "label", "pk": "pk", "family": "family", "storage": "weights", "ctime": "stored"},
    )


@potential.command("show")
@click.argument("label")
@with_profile
def show(label: str) -> None:
    """Show what is known of an installed potential."""
    from ..data.potential import PotentialData
    from ..ingestion import load_labelled

    node = load_labelled(PotentialData, label, "potential")
    click.echo(f"{node.label} <{node.pk}> {node.uuid}")
    attributes = node.base.attributes.all
    elements = attributes["elements"]
    attributes["elements"] = "not known" if elements is None else f"{len(elements)}: {' '.join(elements)}"
    for key, value in attributes.items():
        click.echo(f"{key}: {value if isinstance(value, str) else json.dumps(value)}")


def _json_object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except ValueError as exception:
        raise click.BadParameter(f"no JSON: {exception}", param_hint="--kwargs") from None
    if not isinstance(value, dict):
        raise click.BadParameter('give a JSON object, for example \'{"device": "cpu"}\'', param_hint="--kwargs")
    return value


def _elements(text: str) -> list[str]:
    from ase.data import atomic_numbers

    symbols = [symbol.strip() for symbol in text.split(",") if symbol.strip()]
    for symbol in symbols:
        if symbol not in atomic_numbers or symbol == "X":
            raise click.BadParameter(f"{symbol!r} is no chemical element", param_hint="--elements")
    return symbols
