"""Error statistics of predictions against references; None, never NaN, where a statistic is not defined."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def root_mean_square_error(reference: Array, predicted: Array) -> float | None:
    """Root of the mean squared error, in the unit of the data, arrays of shape (n,); None for n = 0."""
    return float(np.sqrt(np.mean((predicted - reference) ** 2))) if reference.size else None


def mean_absolute_error(reference: Array, predicted: Array) -> float | None:
    """Mean absolute error, in the unit of the data, arrays of shape (n,); None for n = 0."""
    return float(np.mean(np.abs(predicted - reference))) if reference.size else None


def bias(reference: Array, predicted: Array) -> float | None:
    """Mean signed error, predicted - reference, in the unit of the data, arrays of shape (n,); None for n = 0."""
    return float(np.mean(predicted - reference)) if reference.size else None


def r_squared(reference: Array, predicted: Array) -> float | None:
    """R² = 1 - SS_res / SS_tot, SS_tot about the references' mean; not the squared correlation, and it may be negative.

    None for fewer than two values or where all references are equal; arrays of shape (n,).
    """
    if is_constant(reference):
        return None
    residual = np.sum((predicted - reference) ** 2)
    return float(1.0 - residual / np.sum((reference - reference.mean()) ** 2))


def slope(reference: Array, predicted: Array) -> float | None:
    """Slope of the least-squares line, with intercept, of predicted against reference; below 1 is softening.

    None for fewer than two values or where all references are equal; arrays of shape (n,).
    """
    if is_constant(reference):
        return None
    x = reference - reference.mean()
    return float(np.sum(x * (predicted - predicted.mean())) / np.sum(x * x))


def is_constant(values: Array) -> bool:
    """Whether values, shape (n,), are fewer than two or all equal but for rounding (1e-12 of the largest)."""
    return values.size < 2 or bool(np.ptp(values) <= 1e-12 * np.abs(values).max())
