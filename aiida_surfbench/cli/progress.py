"""How far a process is: structures done of all, rate and remaining time, from the runner's heartbeat."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..runner.contract import HEARTBEAT_FILE
from .root import interactive

if TYPE_CHECKING:
    from aiida.orm import CalcJobNode, ProcessNode
    from rich.progress import Progress, TaskID

PREDICT_TYPE = "aiida.calculations:surfbench.predict"
SECONDS_BETWEEN_LINES = 10.0


def predict_jobs(node: ProcessNode) -> list[CalcJobNode]:
    """Return the predict jobs a process started, oldest first."""
    jobs = [child for child in node.called_descendants if child.process_type == PREDICT_TYPE]
    return sorted(jobs, key=lambda job: job.pk)


def structures_done(job: CalcJobNode) -> tuple[int, int]:
    """Return how many structures a job has done, of how many.

    Running jobs on this machine are asked for their heartbeat; of others only the end is known.
    """
    total = _n_structures(job)
    if job.is_terminated:
        return (total if job.is_finished_ok else 0), total
    workdir = job.get_remote_workdir()
    if workdir is None or job.computer.transport_type != "core.local":
        return 0, total
    try:
        beat = json.loads((Path(workdir) / HEARTBEAT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not written yet
        return 0, total
    return int(beat["done"]), total


def _n_structures(job: CalcJobNode) -> int:
    if "selection" in job.inputs:
        return int(job.inputs.selection.base.attributes.get("n_structures"))
    return int(job.inputs.structures.n_structures)


class Display:
    """Shows the progress of a process on standard error: bars for people, a line now and then for logs."""

    def __init__(self, bars: Progress | None) -> None:
        self._bars = bars
        self._tasks: dict[int, TaskID] = {}
        self._last = 0.0
        self._announced = False
        self._started = time.monotonic()

    def update(self, node: ProcessNode) -> None:
        """Look again and show."""
        if not self._announced:
            click.echo(f"{node.process_label} <{node.pk}> {node.uuid}", err=True)
            self._announced = True
        jobs = predict_jobs(node)
        if self._bars is not None:
            for job in jobs:
                done, total = structures_done(job)
                if job.pk not in self._tasks:
                    self._tasks[job.pk] = self._bars.add_task(job.inputs.potential.name, total=total)
                self._bars.update(self._tasks[job.pk], completed=done, total=total)
        elif time.monotonic() - self._last > SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            self._print_line(jobs)

    def _print_line(self, jobs: list[CalcJobNode]) -> None:
        seconds = time.monotonic() - self._started
        counts = [structures_done(job) for job in jobs]
        done, total = sum(count[0] for count in counts), sum(count[1] for count in counts)
        text = f"{seconds:.0f} s: preparing" if not jobs else f"{seconds:.0f} s: {done} of {total} structures"
        if done:
            text += f", {done / seconds:.0f}/s, about {(total - done) * seconds / done:.0f} s left"
        click.echo(text, err=True)


@contextmanager
def display() -> Iterator[Display]:
    """Open a progress display."""
    if not interactive():
        yield Display(None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """Structures per second."""

        def render(self, task: Task) -> Text:
            return Text("" if not task.speed else f"{task.speed:.0f}/s")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("structures"),
        RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield Display(bars)
