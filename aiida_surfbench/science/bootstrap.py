"""Confidence intervals by the percentile bootstrap over clusters: bulks are drawn, with all their slabs.

The slabs of one bulk share its errors; drawing single slabs would give intervals that are too narrow. Percentile
bootstrap: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; clusters: Davison and Hinkley,
Bootstrap Methods and their Application (1997), section 3.8, drawing whole clusters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aiida_surfbench.science.errors import Array, is_constant

#: Level of all intervals; the names of the metrics (``ci95``) say it, so it is no option.
CONFIDENCE = 0.95

#: Below this number of clusters there is no interval: the percentile bootstrap is far too narrow there.
MIN_CLUSTERS = 5

#: The statistics that get an interval.
STATISTICS = ("rmse", "mae", "bias", "slope")

Interval = list[float] | None


def resample_counts(n_clusters: int, n_resamples: int, seed: int) -> Array:
    """How often each cluster is drawn in each resample, shape (n_resamples, n_clusters); every row sums to n_clusters.

    The clusters drawn are ``np.random.default_rng(seed).integers(n_clusters, size=(n_resamples, n_clusters))``.
    """
    drawn = np.random.default_rng(seed).integers(n_clusters, size=(n_resamples, n_clusters))
    cells = (drawn + n_clusters * np.arange(n_resamples)[:, None]).ravel()
    counts = np.bincount(cells, minlength=n_resamples * n_clusters)
    return counts.reshape(n_resamples, n_clusters).astype(np.float64)


def cluster_intervals(
    clusters: Sequence[str], reference: Array, predicted: Array, n_resamples: int, seed: int
) -> dict[str, Interval]:
    """The [low, high] of each of :data:`STATISTICS` at the level :data:`CONFIDENCE`.

    :param clusters: cluster of each value, length n; sorted by name they are the clusters 0, 1, ... of
        :func:`resample_counts`, so that the order of the values does not matter.
    :param reference: reference values, shape (n,).
    :param predicted: predicted values in the same unit, shape (n,).
    :return: intervals in the unit of the data (the slope's without one); None below :data:`MIN_CLUSTERS` clusters, and
        for the slope where all references are equal. Resamples in which a slope is not defined are left out of its
        interval.
    """
    names, index = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    if names.size < MIN_CLUSTERS:
        return dict.fromkeys(STATISTICS)
    counts = resample_counts(names.size, n_resamples, seed)
    values = _resampled_statistics(counts @ _cluster_sums(index, names.size, reference, predicted))
    if is_constant(reference):
        del values["slope"]
    return {name: _percentiles(values[name]) if name in values else None for name in STATISTICS}


def _cluster_sums(index: NDArray[np.intp], n_clusters: int, reference: Array, predicted: Array) -> Array:
    """Per cluster the sums that all statistics are made of, shape (n_clusters, 8).

    Reference and predicted are centred first: without it the slope would lose digits to the large common energy.
    """
    error = predicted - reference
    x, y = reference - reference.mean(), predicted - predicted.mean()
    columns = (np.ones_like(x), error, np.abs(error), error**2, x, y, x * x, x * y)
    return np.stack([np.bincount(index, weights=column, minlength=n_clusters) for column in columns], axis=1)


def _resampled_statistics(sums: Array) -> dict[str, Array]:
    """The statistics of each resample from its sums, shape (n_resamples, 8); NaN for a slope that is not defined."""
    n, error, absolute, squared, x, y, xx, xy = sums.T
    variance = xx - x * x / n
    defined = variance > 1e-12 * xx
    slopes = np.full_like(n, np.nan)
    np.divide(xy - x * y / n, variance, out=slopes, where=defined)
    return {"rmse": np.sqrt(squared / n), "mae": absolute / n, "bias": error / n, "slope": slopes}


def _percentiles(values: Array) -> Interval:
    """The middle :data:`CONFIDENCE` of the defined values, None if there are none."""
    defined = values[np.isfinite(values)]
    if not defined.size:
        return None
    tail = 100.0 * (1.0 - CONFIDENCE) / 2.0
    low, high = np.percentile(defined, [tail, 100.0 - tail])
    return [float(low), float(high)]
