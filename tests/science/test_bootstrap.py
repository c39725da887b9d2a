"""The cluster bootstrap against a slow reference implementation, and its coverage on data of known truth."""

import math

import numpy as np
import pytest

from aiida_surfbench.science.bootstrap import MIN_CLUSTERS, STATISTICS, cluster_intervals, resample_counts


def clustered_data(seed=0, n_clusters=9):
    rng = np.random.default_rng(seed)
    clusters = [f"bulk-{i}" for i in range(n_clusters) for _ in range(int(rng.integers(1, 7)))]
    reference = rng.normal(2.0, 0.6, len(clusters))
    return clusters, reference, 0.8 * reference + rng.normal(0.1, 0.3, len(clusters))


def plain_percentile(values, percent):
    """Linear interpolation between order statistics."""
    values = sorted(values)
    position = (len(values) - 1) * percent / 100
    below = math.floor(position)
    above = min(below + 1, len(values) - 1)
    return values[below] + (position - below) * (values[above] - values[below])


def plain_statistics(pairs):
    n = len(pairs)
    error = [y - x for x, y in pairs]
    x_mean, y_mean = sum(x for x, _ in pairs) / n, sum(y for _, y in pairs) / n
    return {
        "rmse": math.sqrt(sum(e * e for e in error) / n),
        "mae": sum(abs(e) for e in error) / n,
        "bias": sum(error) / n,
        "slope": sum((x - x_mean) * (y - y_mean) for x, y in pairs) / sum((x - x_mean) ** 2 for x, _ in pairs),
    }


def plain_intervals(clusters, reference, predicted, n_resamples, seed):
    """The same resamples, written out as lists of slabs."""
    names = sorted(set(clusters))
    members = {
        name: [(x, y) for c, x, y in zip(clusters, reference, predicted, strict=True) if c == name] for name in names
    }
    drawn = np.random.default_rng(seed).integers(len(names), size=(n_resamples, len(names)))
    resampled = [plain_statistics([pair for i in row for pair in members[names[i]]]) for row in drawn]
    return {
        name: [plain_percentile([r[name] for r in resampled], percent) for percent in (2.5, 97.5)]
        for name in STATISTICS
    }


@pytest.mark.parametrize("seed", [0, 5])
def test_equals_the_slow_reference(seed):
    data = clustered_data(seed)
    fast, slow = cluster_intervals(*data, 200, seed), plain_intervals(*data, 200, seed)
    for name in STATISTICS:
        assert fast[name] == pytest.approx(slow[name], rel=1e-9), name


def test_counts_are_those_of_the_seeded_draw():
    counts = resample_counts(6, 40, seed=3)
    drawn = np.random.default_rng(3).integers(6, size=(40, 6))
    assert counts.shape == (40, 6)
    assert counts.tolist() == [[list(row).count(i) for i in range(6)] for row in drawn]


def test_deterministic_and_independent_of_the_order_of_the_values():
    clusters, reference, predicted = clustered_data()
    first = cluster_intervals(clusters, reference, predicted, 300, 1)
    assert cluster_intervals(clusters, reference, predicted, 300, 1) == first
    assert cluster_intervals(clusters, reference, predicted, 300, 2) != first
    order = np.random.default_rng(9).permutation(len(clusters))
    shuffled = cluster_intervals([clusters[i] for i in order], reference[order], predicted[order], 300, 1)
    for name in STATISTICS:
        assert shuffled[name] == pytest.approx(first[name], rel=1e-12)


def test_none_below_five_clusters():
    clusters, reference, predicted = clustered_data(n_clusters=MIN_CLUSTERS - 1)
    assert len(clusters) > MIN_CLUSTERS  # enough slabs, but of too few bulks
    assert cluster_intervals(clusters, reference, predicted, 50, 0) == dict.fromkeys(STATISTICS)
    assert cluster_intervals([], np.array([]), np.array([]), 50, 0) == dict.fromkeys(STATISTICS)


def test_five_clusters_are_enough():
    intervals = cluster_intervals(*clustered_data(n_clusters=MIN_CLUSTERS), 50, 0)
    assert all(low <= high for low, high in intervals.values())


def test_equal_references_have_no_slope_interval():
    clusters, reference, predicted = clustered_data()
    intervals = cluster_intervals(clusters, np.full_like(reference, 0.1), predicted, 50, 0)
    assert intervals["slope"] is None
    assert intervals["rmse"] is not None


def test_resamples_without_a_slope_are_left_out():
    # one cluster differs; a resample that misses it has equal references, and no slope
    clusters = [f"bulk-{i}" for i in range(5)]
    reference = np.array([1.3, 1.3, 1.3, 1.3, 2.3])
    predicted = 0.5 * reference
    assert cluster_intervals(clusters, reference, predicted, 500, 0)["slope"] == pytest.approx([0.5, 0.5], abs=1e-9)


def test_coverage_with_errors_that_the_slabs_of_a_bulk_share():
    """Bias -0.2 with a spread of 0.3 between bulks and 0.05 within: the 95 % interval covers the truth about as often.

    The percentile bootstrap with 30 clusters is a little narrow (normal quantile 1.96 for Student's 2.05, n for n - 1):
    about 93 % are expected; over 300 repetitions one standard deviation is 1.5 %. Drawing single slabs would give
    intervals narrower by about √8.
    """
    rng = np.random.default_rng(42)
    clusters = [f"bulk-{i:02d}" for i in range(30) for _ in range(8)]
    covered, covered_by_slabs, repetitions = 0, 0, 300
    for repetition in range(repetitions):
        reference = rng.normal(2.0, 0.5, 240)
        predicted = reference - 0.2 + np.repeat(rng.normal(0.0, 0.3, 30), 8) + rng.normal(0.0, 0.05, 240)
        low, high = cluster_intervals(clusters, reference, predicted, 400, repetition)["bias"]
        covered += low <= -0.2 <= high
        singles = [f"slab-{i:03d}" for i in range(240)]
        low, high = cluster_intervals(singles, reference, predicted, 400, repetition)["bias"]
        covered_by_slabs += low <= -0.2 <= high
    assert 0.88 < covered / repetitions < 0.98
    assert covered_by_slabs / repetitions < 0.7
