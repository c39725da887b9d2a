"""Running a process from the command line: in place where no daemon runs, else submitted and followed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from .progress import display

if TYPE_CHECKING:
    from aiida.orm import ProcessNode


def check_daemon() -> None:
    """Refuse to submit where no daemon runs.

    :raises click.ClickException: with the command that starts one.
    """
    from aiida.manage import get_manager

    from ..launch import daemon_is_running

    if not daemon_is_running():
        profile = get_manager().get_profile()
        name = profile.name if profile else "PROFILE"
        raise click.ClickException(
            f"No daemon runs for the profile {name}, so nothing would take the job up. Start it with "
            f"`verdi -p {name} daemon start`, or leave --submit out to run in place."
        )


def submit(builder: Any) -> ProcessNode:
    """Hand a process to the daemon and return at once."""
    from aiida.engine import submit as submit_process

    check_daemon()
    try:
        return submit_process(builder)
    except ValueError as exception:  # what a port says of its input
        raise click.ClickException(str(exception)) from exception


def run(builder: Any) -> ProcessNode:
    """Run a process to its end, showing progress."""
    from ..launch import SECONDS_BETWEEN_LOOKS, daemon_is_running, run_in_place

    with display() as shown:
        if daemon_is_running():
            node = submit(builder)
            while not node.is_terminated:
                shown.update(node)
                time.sleep(SECONDS_BETWEEN_LOOKS)
        else:
            node = run_in_place(builder, shown.update)
        shown.update(node)
    return node
