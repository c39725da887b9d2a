"""Tables on the terminal and in files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

FORMATS = ("rich", "csv", "json", "markdown")

format_option = click.option(
    "--format", "output_format", type=click.Choice(FORMATS), default="rich", show_default=True, help="How to print."
)

Record = Mapping[str, Any]


def print_records(
    records: Sequence[Record],
    output_format: str,
    columns: Mapping[str, str] | None = None,
    title: str | None = None,
    optional: Sequence[str] = (),
) -> None:
    """Print records.

    :param columns: for ``rich`` and ``markdown``: header by key, in order; by default all keys. ``csv`` and ``json``
        always have everything, unrounded.
    :param optional: keys of columns to leave out, one after the other, where the terminal is too narrow.
    """
    if output_format == "json":
        click.echo(json.dumps(list(records), indent=1, allow_nan=False))
    elif output_format == "csv":
        click.echo(_csv(records), nl=False)
    else:
        headers = dict(columns or {key: key for record in records for key in record})
        if output_format == "markdown":
            click.echo(_markdown(list(headers.values()), _rows(records, headers)))
        else:
            _print_rich(records, headers, title, optional)


def format_value(value: Any) -> str:
    """Return a value as people read it: three decimals, a dash for nothing, intervals in brackets."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(item, int) for item in value):
            return "".join(f"{item}" if 0 <= item <= 9 else f"({item})" for item in value)
        return "[{}]".format(", ".join(format_value(item) for item in value))
    return str(value)


def _csv(records: Sequence[Record]) -> str:
    stream = io.StringIO()
    names = list(dict.fromkeys(key for record in records for key in record))
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({key: json.dumps(value) if isinstance(value, list) else value for key, value in record.items()})
    return stream.getvalue()


def _markdown(headers: list[str], rows: list[list[str]]) -> str:
    headers = [header.replace("\n", " ") for header in headers]
    lines = ["| " + " | ".join(headers) + " |", "|" + "|".join("---" for _ in headers) + "|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _rows(records: Sequence[Record], headers: Mapping[str, str]) -> list[list[str]]:
    return [[format_value(record.get(key)) for key in headers] for record in records]


def _print_rich(records: Sequence[Record], headers: dict[str, str], title: str | None, optional: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table

    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width
        console = Console(width=max(console.width, 200))

    def build() -> Table:
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for number, header in enumerate(headers.values()):
            table.add_column(header, justify="left" if number == 0 else "right", overflow="fold")
        for row in _rows(records, headers):
            table.add_row(*row)
        return table

    table = build()
    for key in optional:
        if Measurement.get(console, console.options.update(max_width=10_000), table).maximum <= console.width:
            break
        headers.pop(key, None)
        table = build()
    console.print(table)
