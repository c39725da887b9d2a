"""Parity plot: surface energies of potentials against DFT (as Fig. 2c of Focassio, Freitas, Schleder 2024)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .style import colours_of, markers_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_parity(structures: pd.DataFrame) -> Figure:
    """Return the parity plot of surface energies.

    :param structures: one row per slab and potential with ``potential``, ``surface_energy_dft_j_m2`` and
        ``surface_energy_ml_j_m2``; rows without one of the two are left out, their number is stated.
    :raises ValueError: if there is no row to draw.
    """
    from matplotlib.figure import Figure

    columns = ["surface_energy_dft_j_m2", "surface_energy_ml_j_m2"]
    drawn = structures.dropna(subset=columns)
    if drawn.empty:
        raise ValueError("there is no slab with both a reference and a predicted surface energy")
    figure = Figure(figsize=(5.2, 5.0))
    axes = figure.add_subplot()
    names = list(dict.fromkeys(structures["potential"]))
    colours, markers = colours_of(names), markers_of(names)
    for name in names:
        mine = drawn[drawn["potential"] == name]
        x, y = (mine[column].to_numpy(dtype=float) for column in columns)
        missing = int((structures["potential"] == name).sum()) - len(mine)
        rmse = float(np.sqrt(np.mean((y - x) ** 2))) if len(mine) else float("nan")
        label = f"{name}: RMSE {rmse:.2f} J/m², n = {len(mine)}" + (f", {missing} without" if missing else "")
        axes.scatter(x, y, s=22, alpha=0.75, label=label, color=colours[name], marker=markers[name], linewidths=0)
    values = drawn[columns].to_numpy(dtype=float)
    low, high = min(0.0, values.min()), values.max() * 1.05
    axes.plot([low, high], [low, high], "--", color="0.5", linewidth=1, zorder=0)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_aspect("equal")
    axes.set_xlabel("surface energy, DFT (J/m²)")
    axes.set_ylabel("surface energy, potential (J/m²)")
    axes.legend(loc="upper left", fontsize="small", frameon=False)
    return figure
