"""``aiida-surfbench code``: the Python environments that run potentials."""

from __future__ import annotations

from typing import Any

import click

from .root import cli, program, with_profile


@cli.group("code")
def code() -> None:
    """Set up the Python environments that run potentials."""


@code.command("setup")
@click.argument("name")
@click.option("--python", required=True, metavar="PATH", help="The environment's Python, an absolute path on C.")
@click.option("--computer", metavar="C", help="AiiDA computer; by default localhost.")
@click.option("--prepend-text", default="", help="Shell lines before the Python starts, e.g. 'module load cuda'.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--job-option", "job_options", multiple=True, metavar="KEY=VALUE", help="E.g. queue_name=gpu.")
@with_profile
def setup(
    name: str, python: str, computer: str | None, prepend_text: str, device: str, job_options: tuple[str, ...]
) -> None:
    """Make the Code NAME of a Python and ask it, by a short job, what it can run.

    Repeat it whenever the environment changed.
    """
    from aiida.common.exceptions import NotExistent
    from aiida.orm import Dict, load_computer
    from aiida.plugins import CalculationFactory

    from ..ingestion import get_code
    from .engine import run

    try:
        where = load_computer(computer) if computer else None
    except NotExistent:
        raise click.BadParameter(
            f"there is no computer {computer!r}; `verdi computer list` shows what there is, `verdi computer setup` "
            "makes one",
            param_hint="--computer",
        ) from None
    node = get_code(name, python, where, prepend_text)
    describe: Any = CalculationFactory("surfbench.describe")
    builder = describe.get_builder()
    builder.code = node
    builder.execution = Dict({"device": device})
    try:
        builder.metadata.options = parse_job_options(job_options)
    except ValueError as exception:
        raise click.ClickException(f"--job-option: {exception}") from exception
    described = run(builder)
    if not described.is_finished_ok:
        raise click.ClickException(
            f"The Code {node.full_label} is stored, but its environment could not be described "
            f"(job <{described.pk}>, exit {described.exit_status}): {described.exit_message}"
        )
    environment = described.outputs.environment.get_dict()
    click.echo(f"{node.full_label}: Python {environment['python']}, device {environment['device_class']}")
    for family, facts in sorted(environment["families"].items()):
        click.echo(f"  {family}: {'version ' + str(facts['version']) if facts['importable'] else facts['reason']}")
    usable = [family for family, facts in environment["families"].items() if facts["importable"]]
    if usable:
        click.echo(f"Next: {program()} run --dataset L --potential P --code {usable[0]}={node.full_label}")


def parse_job_options(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Return KEY=VALUE pairs as ``metadata.options``; values are JSON where they can be, else text."""
    import json

    options: dict[str, Any] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--job-option")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options
