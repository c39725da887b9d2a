"""How far a process is: structures done of all, rate and remaining time, from the runner's heartbeat."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..runner.contract import HEARTBEAT_FILE
from .root import interactive

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

PREDICT_TYPE = "aiida.calculations:surfbench.predict"
SECONDS_BETWEEN_LINES = 10.0


def predict_jobs(node: ProcessNode) -> list[Any]:
    """Return the predict jobs (CalcJobNodes) a process started, oldest first."""
    jobs = [child for child in node.called_descendants if child.process_type == PREDICT_TYPE]
    return sorted(jobs, key=lambda job: job.pk or 0)


def structures_done(job: Any) -> tuple[int, int]:
    """Return how many structures a job (a CalcJobNode) has done, of how many.

    Running jobs on this machine are asked for their heartbeat; of others only the end is known.
    """
    total = _n_structures(job)
    if job.is_terminated:
        return (
            job.outputs.predictions.base.attributes.get("n_structures") if "predictions" in job.outputs else 0
        ), total
    workdir = job.get_remote_workdir()
    if workdir is None or job.computer.transport_type != "core.local":
        return 0, total
    try:
        beat = json.loads((Path(workdir) / HEARTBEAT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not written yet
        return 0, total
    return int(beat["done"]), total


def _n_structures(job: Any) -> int:
    if "selection" in job.inputs:
        return int(job.inputs.selection.base.attributes.get("n_structures"))
    return int(job.inputs.structures.n_structures)


class Lines:
    """Progress as a line now and then, for logs."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._last = 0.0
        self._first: tuple[float, int] | None = None

    def show(self, jobs: list[Any]) -> None:
        """Print a line if the last one is old."""
        now = time.monotonic()
        if now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        text = f"{now - self._started:.0f} s: "
        if not jobs:
            click.echo(text + "preparing", err=True)
            return
        counts = [structures_done(job) for job in jobs]
        done, total = sum(count[0] for count in counts), sum(count[1] for count in counts)
        text += f"{done} of {total} structures"
        if self._first is None and done:
            self._first = (now, done)
        elif self._first is not None and done > self._first[1]:
            rate = (done - self._first[1]) / (now - self._first[0])
            text += f", {rate:.1f}/s, about {(total - done) / rate:.0f} s left"
        click.echo(text, err=True)


class Bars:
    """Progress as one bar per job, for people."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._tasks: dict[int, Any] = {}

    def show(self, jobs: list[Any]) -> None:
        """Bring the bars up to date."""
        for job in jobs:
            done, total = structures_done(job)
            if job.pk not in self._tasks:
                self._tasks[job.pk] = self._progress.add_task(job.inputs.potential.name, total=total)
            self._progress.update(self._tasks[job.pk], completed=done)


class Display:
    """Shows the progress of one process on standard error."""

    def __init__(self, style: Lines | Bars) -> None:
        self._style = style
        self._announced = False

    def update(self, node: ProcessNode) -> None:
        """Look again and show."""
        if not self._announced:
            click.echo(f"{node.process_label} <{node.pk}> {node.uuid}", err=True)
            self._announced = True
        self._style.show(predict_jobs(node))


@contextmanager
def display() -> Iterator[Display]:
    """Open a progress display."""
    if not interactive():
        yield Display(Lines())
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """Structures per second."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("structures"),
        RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield Display(Bars(bars))
