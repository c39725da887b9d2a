"""Errors of surface energies by element, as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .style import colours_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_by_element(metrics: pd.DataFrame) -> Figure:
    """Return the bar chart of surface-energy RMSE by element.

    :param metrics: one row per element and potential with ``potential``, ``element``, ``n_slabs``, ``n_failed`` and
        ``surface_energy_rmse_j_m2``; elements without a value get no bar.
    :raises ValueError: if no row has a value.
    """
    from matplotlib.figure import Figure

    column = "surface_energy_rmse_j_m2"
    if metrics[column].dropna().empty:
        raise ValueError("no element has a surface-energy error")
    names = list(dict.fromkeys(metrics["potential"]))
    counts = (metrics["n_slabs"] - metrics["n_failed"]).groupby(metrics["element"]).max()
    order = metrics.groupby("element")[column].max().sort_values(ascending=False).index
    figure = Figure(figsize=(max(5.0, 0.42 * len(order) * max(1, 0.6 * len(names))), 3.6))
    axes = figure.add_subplot()
    width = 0.8 / len(names)
    colours = colours_of(names)
    for number, name in enumerate(names):
        heights = metrics[metrics["potential"] == name].set_index("element")[column].reindex(order)
        places = np.arange(len(order)) + (number - (len(names) - 1) / 2) * width
        axes.bar(places, heights.to_numpy(dtype=float), width, label=name, color=colours[name])
    axes.set_xticks(np.arange(len(order)), [f"{element}\n{counts[element]}" for element in order], fontsize="small")
    axes.set_xlabel("element, and number of slabs")
    axes.set_ylabel("RMSE of surface energy (J/m²)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")
    return figure
