"""The metrics: bulk, slab and surface energy errors together, over all and by element, facet and lattice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from aiida_surfbench.science import bootstrap, errors
from aiida_surfbench.science.lattice import LATTICES
from aiida_surfbench.science.surface_energy import BULK, FAILED, OK, SLAB, Record

#: Raised whenever a change here can change a number that :func:`compute_metrics` gives.
ALGORITHM_VERSION = 1

Row = Mapping[str, Any]

# quantity, its unit in the keys, its columns of references and predictions
_BULK_ENERGY = ("bulk_energy", "ev_per_atom", "bulk_energy_dft_ev_per_atom", "bulk_energy_ml_ev_per_atom")
_SLAB_ENERGY = ("slab_energy", "ev_per_atom", "slab_energy_dft_ev_per_atom", "slab_energy_ml_ev_per_atom")
_SURFACE_ENERGY = ("surface_energy", "j_m2", "surface_energy_dft_j_m2", "surface_energy_ml_j_m2")


def compute_metrics(
    rows: Sequence[Row], n_resamples: int = 1000, seed: int = 0, ids: Collection[str] | None = None
) -> Record:
    """Error statistics of one potential on a surface set, with intervals that resample bulks with all their slabs.

    The result has ``overall``, ``by_element``, ``by_miller``, ``by_lattice`` and ``settings``. ``overall`` is one
    record, the next three are sorted lists of records with a label (``element``, ``miller_index``, ``lattice``). For
    q = bulk_energy (unit u = ev_per_atom, over distinct bulks), slab_energy (ev_per_atom) and surface_energy (j_m2) a
    record has

    - ``q_rmse_u``, ``q_mae_u``, ``q_bias_u`` (mean of ML - DFT) and their 95 % intervals [low, high], ``q_rmse_ci95_u``
      and so on;
    - ``q_r2``: 1 - SS_res / SS_tot; ``surface_energy_slope`` and ``surface_energy_slope_ci95``: ML against DFT by least
      squares with intercept;
    - ``n_q``: how many errors these are over, which are all structures with prediction and reference; a slab energy
      counts also where only the bulk failed;
    - ``n_bulks`` and ``n_slabs`` (all), ``n_bulks_failed``, ``n_failed`` (slabs without a predicted surface energy, for
      whatever reason), ``n_slab_energy_derived`` and the flag ``slab_energy_derived``.

    What has no data is None; so is an interval below five bulks with a value. Groups go by the structure's own element
    and its bulk's lattice; a facet's bulks are those of its slabs. Structures without the label (no facet, no lattice)
    are in no such group, only in the others.

    :param rows: what :func:`~aiida_surfbench.science.surface_energy.compute_surface_energies` gives, in any order.
    :param n_resamples: number of bootstrap resamples, at least 1.
    :param seed: seed of the resamples, at least 0.
    :param ids: structure ids to restrict to: other slabs are dropped, and bulks that are neither named nor a kept
        slab's; None keeps everything.
    :raises ValueError: if an id of ``ids`` is not in the rows, an id stands twice, a slab's bulk is missing, or a
        setting is out of range.
    """
    if n_resamples < 1 or seed < 0:
        raise ValueError(f"n_resamples is at least 1 and seed at least 0, not {n_resamples} and {seed}")
    kept = _select(rows, ids)

    def by(label: str) -> list[Record]:
        groups = _groups(kept, label)
        return [
            {label: list(key) if label == "miller_index" else key, **_record(groups[key], n_resamples, seed)}
            for key in sorted(groups, key=_SORT_KEYS[label])
        ]

    return {
        "overall": _record(kept, n_resamples, seed),
        "by_element": by("element"),
        "by_miller": by("miller_index"),
        "by_lattice": by("lattice"),
        "settings": {
            "seed": int(seed),
            "n_resamples": int(n_resamples),
            "confidence": bootstrap.CONFIDENCE,
            "min_bulks": bootstrap.MIN_CLUSTERS,
            "algorithm_version": ALGORITHM_VERSION,
        },
    }


def common_ids(row_lists: Iterable[Sequence[Row]]) -> list[str]:
    """Ids of the slabs that have a surface energy (status ok) in every one of the row lists, sorted.

    Comparing potentials over different surviving structures is unfair: one that fails on the hard slabs would look
    better than one that answers. Given as ``ids`` to :func:`compute_metrics` for each of them, all are judged on the
    same slabs, and on the bulks of those.

    :param row_lists: for each potential, what ``compute_surface_energies`` gives.
    :raises ValueError: if there is no row list.
    """
    surviving = [
        {row["structure_id"] for row in rows if row["role"] == SLAB and row["status"] == OK} for rows in row_lists
    ]
    if not surviving:
        raise ValueError("common ids of no potentials: give the rows of at least one")
    return sorted(set.intersection(*surviving))


def _select(rows: Sequence[Row], ids: Collection[str] | None) -> list[Row]:
    """The rows that ``ids`` keeps, sorted by id: so sums round the same way whatever the order of the rows was."""
    by_id = {row["structure_id"]: row for row in rows}
    if len(by_id) < len(rows):
        raise ValueError("a structure id stands twice in the rows")
    named = set(by_id) if ids is None else set(ids)
    if not named <= set(by_id):
        raise ValueError(f"ids that are not in the rows: {', '.join(sorted(named - set(by_id))[:5])}")
    slabs = [row for row in rows if row["role"] == SLAB and row["structure_id"] in named]
    orphans = [row["structure_id"] for row in slabs if row["bulk_id"] not in by_id]
    if orphans:
        raise ValueError(f"slabs whose bulk is not in the rows: {', '.join(orphans[:5])}")
    wanted = named | {row["bulk_id"] for row in slabs}
    bulks = [row for row in rows if row["role"] == BULK and row["structure_id"] in wanted]
    return sorted(bulks + slabs, key=lambda row: str(row["structure_id"]))


def _groups(rows: Sequence[Row], label: str) -> dict[Any, list[Row]]:
    """The rows by a label; a facet's group also holds the bulks of its slabs."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        if row[label] is not None:
            key = tuple(row[label]) if label == "miller_index" else row[label]
            groups.setdefault(key, []).append(row)
    if label == "miller_index":
        bulks = {row["structure_id"]: row for row in rows if row["role"] == BULK}
        for members in groups.values():
            members.extend(bulks[name] for name in sorted({row["bulk_id"] for row in members}))
    return groups


def _miller_key(index: tuple[int, ...]) -> tuple[int, int, tuple[int, ...]]:
    """Low indices first: 100, 010, 001, 110, ..., 111, 210, ..."""
    size = [abs(value) for value in index]
    return max(size), sum(size), tuple(-value for value in index)


def _lattice_key(name: str) -> tuple[int, str]:
    """The order of :data:`LATTICES`, then what a data set may have called otherwise."""
    return LATTICES.index(name) if name in LATTICES else len(LATTICES), name


_SORT_KEYS: dict[str, Any] = {"element": str, "miller_index": _miller_key, "lattice": _lattice_key}


def _record(rows: Sequence[Row], n_resamples: int, seed: int) -> Record:
    """Counts and statistics of one group of bulks and slabs."""
    bulks = [row for row in rows if row["role"] == BULK]
    slabs = [row for row in rows if row["role"] == SLAB]
    n_derived = sum(bool(row["slab_energy_derived"]) for row in slabs)
    record: Record = {
        "n_bulks": len(bulks),
        "n_slabs": len(slabs),
        "n_failed": sum(row["surface_energy_ml_j_m2"] is None for row in slabs),
        "n_bulks_failed": sum(row["status"] == FAILED for row in bulks),
        "slab_energy_derived": n_derived > 0,
        "n_slab_energy_derived": n_derived,
    }
    for members, quantity in ((bulks, _BULK_ENERGY), (slabs, _SLAB_ENERGY), (slabs, _SURFACE_ENERGY)):
        record.update(_statistics(members, quantity, n_resamples, seed))
    return record


def _statistics(rows: Sequence[Row], quantity: tuple[str, str, str, str], n_resamples: int, seed: int) -> Record:
    """The statistics of one quantity over the rows that have both its prediction and its reference."""
    name, unit, reference_key, predicted_key = quantity
    usable = [row for row in rows if row[reference_key] is not None and row[predicted_key] is not None]
    clusters = [row["structure_id"] if row["role"] == BULK else row["bulk_id"] for row in usable]
    reference = np.array([row[reference_key] for row in usable], dtype=float)
    predicted = np.array([row[predicted_key] for row in usable], dtype=float)
    intervals = bootstrap.cluster_intervals(clusters, reference, predicted, n_resamples, seed)
    record: Record = {
        f"n_{name}": len(usable),
        f"{name}_rmse_{unit}": errors.root_mean_square_error(reference, predicted),
        f"{name}_mae_{unit}": errors.mean_absolute_error(reference, predicted),
        f"{name}_bias_{unit}": errors.bias(reference, predicted),
        f"{name}_r2": errors.r_squared(reference, predicted),
    }
    for statistic in ("rmse", "mae", "bias"):
        record[f"{name}_{statistic}_ci95_{unit}"] = intervals[statistic]
    if name == "surface_energy":
        record[f"{name}_slope"] = errors.slope(reference, predicted)
        record[f"{name}_slope_ci95"] = intervals["slope"]
    return record
