"""Building a benchmark, running it in this program where no daemon runs, and comparing what came out."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from aiida.common.exceptions import AiidaException, ConfigurationError
from aiida.engine import ProcessState
from aiida.engine.daemon.client import get_daemon_client
from aiida.engine.utils import loop_scope
from aiida.manage import get_manager
from aiida.orm import AbstractCode, CalcFunctionNode, CalcJobNode, Dict, Node, ProcessNode, QueryBuilder, SinglefileData
from aiida.plugins import CalculationFactory, WorkflowFactory

from .data.potential import PotentialData
from .data.structure_set import SurfaceSetData
from .ingestion import IngestionError, get_code
from .queries import Result

SECONDS_BETWEEN_LOOKS = 1.0


def build_benchmark(
    structures: SurfaceSetData,
    potentials: Iterable[PotentialData],
    codes: Mapping[str, AbstractCode] | None = None,
    selection: SinglefileData | None = None,
    execution: Mapping[str, Any] | None = None,
    job_options: Mapping[str, Any] | None = None,
) -> Any:
    """Return the builder of a BenchmarkWorkChain.

    :param codes: by family; families without one use the Python that runs this, on localhost.
    :param selection: the structures meant; without it all.
    :param execution: device, batch_atoms: see :data:`aiida_surfbench.runner.contract.DEFAULT_EXECUTION`.
    :param job_options: ``metadata.options`` of the jobs.
    """
    codes = codes or {}
    benchmark: Any = WorkflowFactory("surfbench.benchmark")
    builder = benchmark.get_builder()
    builder.structures = structures
    builder.potentials = _rows(potentials)
    families = {potential.family for potential in builder.potentials.values()}
    builder.codes = {family: codes.get(family) or get_code() for family in families}
    if selection is not None:
        builder.selection = selection
    if execution:
        builder.execution = Dict(dict(execution))
    if job_options:
        builder.job_options = dict(job_options)
    return builder


def _rows(potentials: Iterable[PotentialData]) -> dict[str, PotentialData]:
    """Return the potentials by the key of their row; one that is named twice stands once."""
    rows: dict[str, PotentialData] = {}
    for potential in potentials:
        if any(other.uuid == potential.uuid for other in rows.values()):
            continue
        key = base = row_key(potential.name)
        number = 2
        while key in rows:  # names that differ in punctuation only
            key = f"{base}_{number}"
            number += 1
        rows[key] = potential
    return rows


def row_key(name: str) -> str:
    """Return a potential's name as a key AiiDA allows: letters, digits and single underscores."""
    text = "".join(character if character.isalnum() and character.isascii() else "_" for character in name)
    return "p_" + "_".join(part for part in text.split("_") if part)


def daemon_is_running() -> bool:
    """Return whether a daemon works for the loaded profile."""
    try:
        return bool(get_daemon_client().is_daemon_running)
    except ConfigurationError:  # a profile without broker has no daemon
        return False


def use_local_runner() -> None:
    """Let processes run in this program without a broker, if no daemon runs.

    The built-in broker lives with the daemon; without it AiiDA's own runner waits for it in vain.
    """
    if not daemon_is_running():
        manager = get_manager()
        manager.reset_runner()  # before the new one is made: closing a runner closes the event loop it shares with it
        manager.set_runner(manager.create_runner(communicator=None, poll_interval=SECONDS_BETWEEN_LOOKS))


def run_in_place(builder: Any, look: Callable[[ProcessNode], None] | None = None) -> ProcessNode:
    """Run a process in this program to its end and return its node.

    :param look: called with the node about once a second while it runs.
    :raises IngestionError: if an input is not valid.
    """
    use_local_runner()
    runner = get_manager().get_runner()
    try:
        process = runner.instantiate_process(builder)
    except ValueError as exception:  # what a port says of its input
        raise IngestionError(str(exception)) from exception

    async def watch() -> None:
        while look is not None and not process.has_terminated():
            look(process.node)
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    try:
        with loop_scope(runner.loop), _interruptible(runner.loop):
            watching = runner.loop.create_task(watch())
            try:
                process.execute()
            finally:
                watching.cancel()
                # A task that is dropped pending is complained of
                runner.loop.run_until_complete(asyncio.wait([watching]))
    except KeyboardInterrupt:
        kill_tree(process.node)
        raise
    node: ProcessNode = process.node
    return node


def kill_tree(node: ProcessNode) -> None:
    """End a process that ran in this program, and all it called: cancel their jobs and mark them as killed.

    AiiDA's own way to kill children goes through the broker, which is not there in place.
    """
    for child in [*node.called_descendants, node]:
        if child.is_terminated:
            continue
        status = "killed by an interrupt of the program it ran in"
        if isinstance(child, CalcJobNode):
            try:
                _cancel_job(child)
            except (AiidaException, OSError) as exception:  # the others are still to be ended
                status += f"; its job {child.get_job_id()} may still run: {exception}"
        child.set_process_state(ProcessState.KILLED)
        child.set_process_status(status)
        child.seal()


def _cancel_job(node: CalcJobNode) -> None:
    job_id = node.get_job_id()
    if job_id is None or node.computer is None:
        return
    with node.get_transport() as transport:
        scheduler = node.computer.get_scheduler()
        scheduler.set_transport(transport)
        scheduler.kill_job(job_id)


@contextmanager
def _interruptible(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Raise KeyboardInterrupt between two steps of the loop, at Ctrl-C and at a request to terminate.

    Python's own handler raises in the middle of whatever runs, which may be a step that swallows it.
    """

    def interrupt() -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only there can handlers be set
        yield
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def select_elements(structures: SurfaceSetData, elements: Iterable[str]) -> SinglefileData:
    """Return the selection of slabs whose column ``element`` is one of those given, with their bulks, as a node.

    :raises IngestionError: if the set has no slab of one of them.
    """
    wanted = sorted(set(elements))
    known = {row["element"] for row in structures.rows() if row["role"] == "slab"}
    absent = [element for element in wanted if element not in known]
    if absent or not wanted:
        raise IngestionError(
            f"The dataset has no slab of {', '.join(absent) or 'no element'}; it has {', '.join(sorted(known))}."
        )
    selection: SinglefileData = _call(
        "surfbench.select_structures", structures=structures, criteria=Dict({"elements": wanted})
    )
    return selection


def select_common(found: Sequence[Result]) -> SinglefileData:
    """Return the selection of slabs every result has, as a node; an equal one is used again.

    :raises IngestionError: if the results are of several datasets, or have no slab in common.
    """
    if len({result.structures.uuid for result in found}) > 1:
        raise IngestionError("A common selection is of one dataset; these results are of several.")
    inputs = {f"result_{number}": result.surface_energies for number, result in enumerate(found)}
    known: SinglefileData | None = _find_created("surfbench.select_common_structures", inputs)
    if known is not None:
        return known
    try:
        selection: SinglefileData = _call("surfbench.select_common_structures", **inputs)
    except ValueError as exception:
        raise IngestionError(f"No common selection: {exception}.") from exception
    return selection


def restrict(result: Result, selection: SinglefileData) -> Dict:
    """Return the metrics of a result on a selection, as a node; an equal one is used again."""
    settings = result.workchain.inputs.metrics_settings
    inputs = {"surface_energies": result.surface_energies, "settings": settings, "selection": selection}
    known: Dict | None = _find_created("surfbench.compute_metrics", inputs)
    if known is not None:
        return known
    metrics: Dict = _call("surfbench.compute_metrics", **inputs)
    return metrics


def _call(entry_point: str, **inputs: Node) -> Any:
    use_local_runner()
    function: Any = CalculationFactory(entry_point)
    return function(**inputs, metadata={"disable_cache": True})


def _find_created(entry_point: str, inputs: Mapping[str, Node]) -> Any:
    """Return the result of an earlier call of a calcfunction with just these input nodes, or ``None``."""
    query = QueryBuilder()
    query.append(
        CalcFunctionNode,
        filters={"process_type": f"aiida.calculations:{entry_point}", "attributes.exit_status": 0},
        tag="call",
        project="*",
    )
    for label, node in inputs.items():
        query.append(Node, filters={"uuid": node.uuid}, with_outgoing="call", edge_filters={"label": label})
    for (call,) in query.iterall():
        if len(call.base.links.get_incoming().all_nodes()) == len(inputs):
            return call.outputs.result
    return None
