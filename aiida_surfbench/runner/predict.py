"""The command ``predict``: structures in, energies (and forces, stress) out, in batches."""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

from ase import Atoms

from . import contract, environment, structures
from .checks import check_result, check_structure
from .contract import JobError
from .families import Family, Potential, get_family
from .job import PredictJob, read_predict_job
from .parts import PART_STRUCTURES, Outcome, PartsWriter, remove_outputs
from .weights import resolve


def run(job_file: Path, results: dict[str, Any]) -> None:
    """Run a ``predict`` job; fills ``results``, which becomes results.json, as far as it comes.

    :raises JobError: the job as a whole is not usable. Parts already written stay.
    """
    start = time.monotonic()
    if job_file.is_file():
        remove_outputs(job_file.parent)
    timings: dict[str, float] = {}
    results.update(algorithm_version=contract.ALGORITHM_VERSION, timings=timings)
    writer: PartsWriter | None = None
    try:
        job = read_predict_job(job_file)
        family = get_family(job.potential.family)
        total = _count(job)
        potential = _load(job, family, results, timings)
        properties: list[str] = job.options["properties"]
        writer = PartsWriter(job.folder, [name for name in properties if name != "energy"], total)
        budget = job.execution["batch_atoms"] or family.default_batch_atoms(properties)
        begin = time.monotonic()
        try:
            _predict_all(job, potential, budget, writer)
        finally:  # also when a later frame turns out to be unreadable
            writer.write_part()
            writer.beat(force=True)
        timings["predict_s"] = round(time.monotonic() - begin, 3)
        sys.stdout.write(f"{total} structures: {writer.n_ok} ok, {writer.n_failed} failed\n")
    finally:
        n_ok, n_failed = (writer.n_ok, writer.n_failed) if writer is not None else (0, 0)
        timings["total_s"] = round(time.monotonic() - start, 3)
        results.update(n_structures=n_ok + n_failed, n_ok=n_ok, n_failed=n_failed, peak_memory_mb=_peak_memory_mb())


def _count(job: PredictJob) -> int:
    total = structures.scan(job.structures)
    if job.n_structures is not None and job.n_structures != total:
        raise JobError(
            contract.STRUCTURES_UNREADABLE,
            f"{job.structures.name} holds {total} structures, the job announces {job.n_structures} (n_structures).",
        )
    return total


def _load(job: PredictJob, family: Family, results: dict[str, Any], timings: dict[str, float]) -> Potential:
    """Check device, environment and weights, then load the model; fills what results.json says about them."""
    dtype: str = job.options["dtype"]
    if dtype not in family.DTYPES:
        raise JobError(
            contract.NOT_AVAILABLE,
            f"options.dtype: the family {family.NAME} has no {dtype!r}; it supports {', '.join(family.DTYPES)}.",
        )
    environment.require_installed(family)
    device: str = job.execution["device"]
    found = environment.current([family], device)
    results.update(device=device, environment=found)
    if job.environment is not None:
        environment.compare(job.environment, found, family.DISTRIBUTIONS)
    paths, digests = resolve(job.potential.files, job.folder)
    results["weights"] = digests
    begin = time.monotonic()
    environment.require_importable(family)
    timings["import_s"] = round(time.monotonic() - begin, 3)
    begin = time.monotonic()
    potential = family.load(paths, job.potential.config, device, dtype, set(job.potential.trusted))
    timings["load_s"] = round(time.monotonic() - begin, 3)
    gc.freeze()  # what was imported and loaded stays: the collector need not walk over it at every batch
    results["dtype"] = potential.dtype
    found["packages"].update(getattr(potential, "packages", {}))  # what only the loaded potential knows (family ase)
    return potential


#: structure_id, structure, and why it must not be given to the model (or ``None``).
Checked = tuple[str, Atoms, Optional[str]]


def _predict_all(job: PredictJob, potential: Potential, budget: int, writer: PartsWriter) -> None:
    for batch in _batches(job, potential, budget):
        _predict_batch(potential, job.options["properties"], batch, writer)


def _batches(job: PredictJob, potential: Potential, budget: int) -> Iterator[list[Checked]]:
    """Yield batches of at most ``budget`` sound atoms, or a single larger structure.

    Structures that failed their checks ride along, so that the records keep the order of the file.
    """
    elements = job.potential.elements if job.potential.elements is not None else potential.elements
    batch: list[Checked] = []
    n_atoms = 0
    problem: JobError | None = None
    try:
        for structure_id, atoms in structures.read(job.structures):
            reason = check_structure(atoms, elements, potential.cutoff)
            size = 0 if reason else len(atoms)
            if batch and (n_atoms + size > budget or len(batch) >= PART_STRUCTURES):
                yield batch
                batch, n_atoms = [], 0
            batch.append((structure_id, atoms, reason))
            n_atoms += size
    except JobError as error:  # an unreadable frame: first predict what came before it
        problem = error
    if batch:
        yield batch
    if problem is not None:
        raise problem


def _predict_batch(
    potential: Potential,
    properties: Sequence[str],
    batch: Sequence[Checked],
    writer: PartsWriter,
) -> None:
    sound = [atoms for _, atoms, reason in batch if reason is None]
    outcomes = iter(outcomes_of(potential, properties, sound) if sound else [])
    for structure_id, atoms, refused in batch:
        outcome = next(outcomes) if refused is None else refused
        if not isinstance(outcome, str):
            outcome = check_result(outcome, len(atoms), properties) or outcome
        writer.add(structure_id, len(atoms), outcome)
    writer.after_batch()


def outcomes_of(potential: Potential, properties: Sequence[str], batch: Sequence[Atoms]) -> list[Outcome]:
    """Return, per structure of ``batch``, the model's result or the reason why it failed.

    A batch that raises is tried again structure by structure, so that only the guilty one fails; one that runs out of
    memory is halved, down to single structures.
    """
    reason, out_of_memory = "", False
    try:
        answers = potential.predict(batch, properties)
        if len(answers) != len(batch):
            raise RuntimeError(f"the model gave {len(answers)} results for {len(batch)} structures")
        return list(answers)
    except Exception as error:  # whatever a model raises is the reason of the structure that made it raise
        reason, out_of_memory = _reason(error), _is_out_of_memory(error)
    # Outside of the handler: the exception keeps the frames, and with them the tensors, of the failed try alive.
    if out_of_memory:
        _free_device_memory()
    if len(batch) == 1:
        return [f"out of memory ({reason})" if out_of_memory else reason]
    if out_of_memory:
        sys.stderr.write(f"out of memory with {sum(map(len, batch))} atoms in one batch; halving it\n")
        middle = len(batch) // 2
        groups = [batch[:middle], batch[middle:]]
    else:
        groups = [[atoms] for atoms in batch]
    return [outcome for group in groups for outcome in outcomes_of(potential, properties, group)]


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _is_out_of_memory(error: Exception) -> bool:
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text))
    )


def _free_device_memory() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)
