"""``aiida-surfbench demo``: the whole chain on the embedded structure set, in a profile of its own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .root import cli, command_errors

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

    from ..queries import Result


@cli.command("demo")
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), default=Path("surfbench-demo"), show_default=True
)
@click.option("--potential", "name", default="chgnet-0.3.0", show_default=True, help="A registry name.")
@command_errors
def demo(output: Path, name: str) -> None:
    """Evaluate a universal potential on an embedded set of ideal metal surfaces.

    Makes the AiiDA profile `surfbench-demo` when missing (SQLite, built-in broker); your default profile stays what
    it is. Nothing is left running.
    """
    from ..potentials.registry import check_available, load_known

    check_available(load_known(name).family)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as exception:
        raise click.ClickException(
            f"--output: the folder {output} cannot be made: {exception.strerror}."
        ) from exception
    from ..ingestion import DEMO_PROFILE, demo_dataset, load_demo_profile
    from ..launch import build_benchmark
    from ..queries import results
    from . import engine
    from .run import get_potential, report

    click.echo(f"AiiDA profile {DEMO_PROFILE}, made if missing (SQLite, built-in broker).", err=True)
    load_demo_profile()
    structures = demo_dataset()
    potential = get_potential(name)
    click.echo(
        f"{potential.name} on {structures.n_slabs} slabs of {len(structures.elements)} metals, ideal terminations; "
        "the reference surface energies are of relaxed slabs (Tran et al. 2016, PBE).",
        err=True,
    )
    node = engine.run(build_benchmark(structures, [potential]))
    report(node)
    written = [*write_figures(results([node]), output), *write_graph(node, output)]
    click.echo("Wrote " + ", ".join(str(path) for path in written))
    click.echo(
        f"Where every number comes from: verdi -p {DEMO_PROFILE} node graph generate {node.pk}\n"
        "Next, a profile for your own work, and your own surfaces in it:\n"
        "  verdi presto --use-zeromq\n"
        "  aiida-surfbench dataset import FILE --label mine\n"
        f"  aiida-surfbench run --dataset mine --potential {name}"
    )


def write_figures(found: Sequence[Result], output: Path) -> list[Path]:
    """Write the parity plot and the chart by element; without matplotlib say so."""
    from ..queries import metrics_records, structure_records, to_frame

    try:
        from ..plots.by_element import plot_by_element
        from ..plots.parity import plot_parity
        from ..plots.style import save

        parity = plot_parity(to_frame(structure_records(found)))
        elements = plot_by_element(to_frame(metrics_records([(each, each.metrics) for each in found], "element")))
    except ModuleNotFoundError as exception:
        click.echo(
            f"No figures: {exception.name} is missing; pip install 'aiida-surfbench[plots]' brings it.", err=True
        )
        return []
    return [save(parity, output / "parity.png"), save(elements, output / "by_element.png")]


def write_graph(node: ProcessNode, output: Path) -> list[Path]:
    """Write the provenance graph: as a picture where the program `dot` is installed, and as its text anyhow."""
    from aiida.tools.visualization import Graph

    graph = Graph(graph_attr={"rankdir": "LR"})
    graph.recurse_ancestors(node, annotate_links="label", link_types=("input_work",), include_process_outputs=False)
    graph.recurse_descendants(node, annotate_links="label", include_process_inputs=True)
    source = output / "provenance.dot"
    source.write_text(graph.graphviz.source, encoding="utf-8")
    if shutil.which("dot") is None:
        click.echo(
            f"The program `dot` is not installed, so the provenance graph is written as text ({source}); with Graphviz "
            "installed, repeat or run: dot -Tsvg provenance.dot -o provenance.svg",
            err=True,
        )
        return [source]
    picture = graph.graphviz.render(outfile=str(output / "provenance.svg"), format="svg", cleanup=True)
    return [source, Path(picture)]
