"""Figures: what is drawn, what the labels say, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from aiida_surfbench.plots.by_element import plot_by_element
from aiida_surfbench.plots.parity import plot_parity
from aiida_surfbench.plots.style import COLOURS, colours_of, markers_of, save


@pytest.fixture
def structures():
    """Return slabs of two potentials; one slab failed for the second."""
    return pd.DataFrame(
        {
            "potential": ["one", "one", "two", "two"],
            "surface_energy_dft_j_m2": [1.0, 2.0, 1.0, 2.0],
            "surface_energy_ml_j_m2": [1.3, 1.6, 0.9, None],
        }
    )


@pytest.fixture
def metrics():
    """Return errors of two potentials by element; gold has none."""
    return pd.DataFrame(
        {
            "potential": ["one", "one", "two", "two", "one"],
            "element": ["Cu", "Al", "Cu", "Al", "Au"],
            "n_slabs": [5, 3, 5, 3, 2],
            "n_failed": [0, 0, 1, 0, 2],
            "surface_energy_rmse_j_m2": [0.2, 0.4, 0.3, 0.1, None],
        }
    )


def test_parity_plot(structures):
    figure = plot_parity(structures)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "surface energy, DFT (J/m²)"
    assert axes.get_ylabel() == "surface energy, potential (J/m²)"
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["one: RMSE 0.35 J/m², n = 2", "two: RMSE 0.10 J/m², n = 1, 1 without"]
    points = [np.asarray(collection.get_offsets()).tolist() for collection in axes.collections]
    assert points == [[[1.0, 1.3], [2.0, 1.6]], [[1.0, 0.9]]]
    (diagonal,) = axes.lines
    assert np.array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert axes.get_xlim() == axes.get_ylim()


def test_potential_without_any_value_is_said_to_have_none(structures):
    structures.loc[structures["potential"] == "two", "surface_energy_ml_j_m2"] = None
    labels = [text.get_text() for text in plot_parity(structures).axes[0].get_legend().get_texts()]
    assert "n = 0, 2 without" in labels[1]


def test_by_element(metrics):
    figure = plot_by_element(metrics)
    (axes,) = figure.axes
    assert axes.get_ylabel() == "RMSE of surface energy (J/m²)"
    assert "number of slabs" in axes.get_xlabel()
    assert [label.get_text() for label in axes.get_xticklabels()][:2] == ["Al\n3", "Cu\n5"]  # worst first
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one", "two"]
    one, two = axes.containers
    heights = [[bar.get_height() for bar in bars][:2] for bars in (one, two)]
    assert heights == [[0.4, 0.2], [0.1, 0.3]]


def test_nothing_to_draw_is_refused(structures, metrics):
    structures["surface_energy_ml_j_m2"] = None
    with pytest.raises(ValueError, match="no slab with both"):
        plot_parity(structures)
    metrics["surface_energy_rmse_j_m2"] = None
    with pytest.raises(ValueError, match="no element has"):
        plot_by_element(metrics)


@pytest.mark.parametrize("column", ["potential", "surface_energy_dft_j_m2", "surface_energy_ml_j_m2"])
def test_missing_column_is_refused(structures, column):
    with pytest.raises(KeyError, match=column):
        plot_parity(structures.drop(columns=column))


def test_styles_repeat_after_six():
    names = [str(number) for number in range(8)]
    colours, markers = colours_of(names), markers_of(names)
    assert len({(colours[name], markers[name]) for name in names[:6]}) == 6
    assert colours["6"] == colours["0"] == COLOURS[0]


def test_save_writes_what_the_suffix_says(structures, tmp_path):
    figure = plot_parity(structures)
    assert save(figure, tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert save(figure, tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_real_benchmark_is_drawn(benchmarked):
    from aiida_surfbench.queries import metrics_records, results, structure_records, to_frame

    found = results([benchmarked])
    labels = plot_parity(to_frame(structure_records(found))).axes[0].get_legend().get_texts()
    assert [text.get_text().split(":")[0] for text in labels] == ["emt", "lj"]
    assert all("n = 12" in text.get_text() for text in labels)
    frame = to_frame(metrics_records([(each, each.metrics) for each in found], "element"))
    assert len(plot_by_element(frame).axes[0].containers) == 2
