"""What all figures share: colours that colour-blind readers tell apart, and saving."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Okabe and Ito's palette without yellow and black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")


def colours_of(names: Sequence[str]) -> dict[str, str]:
    """Return a colour per name; repeats after six."""
    return {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}


def markers_of(names: Sequence[str]) -> dict[str, str]:
    """Return a marker per name; repeats after six."""
    return {name: MARKERS[number % len(MARKERS)] for number, name in enumerate(names)}


def save(figure: Figure, path: Path) -> Path:
    """Write a figure; the suffix says the format."""
    figure.savefig(path, dpi=150, bbox_inches="tight")
    return path
