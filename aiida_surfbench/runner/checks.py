"""Validation of one structure before the model sees it, and of one result after.

Models return finite energies for NaN positions, NaN cells and elements they were never trained on: without these
checks such numbers would pass for predictions. Nothing is repaired; a reason is returned and the structure fails.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

#: Atoms nearer than this (Å) are a fault of the structure, no physics.
MIN_DISTANCE = 0.5
#: Where a family does not know its cutoff (Å).
DEFAULT_CUTOFF = 6.0
#: Cells below this (Å³) have no volume: a lattice vector below 0.5 Å is certain there.
_MIN_VOLUME = 1e-3
#: Squared distances held at a time.
_CHUNK = 1_000_000
#: Periodic images above which the cell is worth reducing first.
_MANY_IMAGES = 1000

Floats = NDArray[np.floating[Any]]


def check_structure(atoms: Atoms, elements: Collection[str] | None, cutoff: float | None) -> str | None:
    """Return why ``atoms`` must not be given to the model, or ``None``.

    Atoms are counted from 0, as in ASE.

    :param elements: the elements the potential knows; ``None`` if unknown (no check).
    :param cutoff: range of the potential in Å; ``None`` if unknown (:data:`DEFAULT_CUTOFF`).
    """
    if len(atoms) == 0:
        return "the structure has no atoms"
    cell: Floats = np.asarray(atoms.cell.array, dtype=float)
    if not np.isfinite(cell).all():
        return "the cell is not finite"
    finite = np.isfinite(atoms.positions).all(axis=1)
    if not finite.all():
        return f"the position of {_name(atoms, int(np.argmin(finite)))} is not finite"
    if not atoms.pbc.all():
        flags = " ".join("T" if periodic else "F" for periodic in atoms.pbc)
        return f"the structure is not periodic in all three directions (pbc {flags})"
    volume = float(np.dot(cell[0], np.cross(cell[1], cell[2])))
    if abs(volume) < _MIN_VOLUME:
        return f"the cell has no volume ({volume:.3g} Å³)"
    if volume < 0:
        return f"the cell vectors are left-handed (their triple product is {volume:.3f} Å³)"
    if elements is not None:
        unknown = sorted({chemical_symbols[number] for number in set(atoms.numbers.tolist())} - set(elements))
        if unknown:
            return f"the potential was not made for {', '.join(unknown)}"
    return _check_distances(atoms, cell, DEFAULT_CUTOFF if cutoff is None else cutoff)


def _name(atoms: Atoms, index: int) -> str:
    return f"atom {index} ({chemical_symbols[atoms.numbers[index]]})"


def _check_distances(atoms: Atoms, cell: Floats, cutoff: float) -> str | None:
    # Denser than a close packing of spheres 0.5 Å wide, two atoms are too near for certain: no need to look further.
    dense = np.linalg.det(cell) < len(atoms) * MIN_DISTANCE**3 / np.sqrt(2)
    distances, partners = nearest_neighbours(
        cell, atoms.positions, MIN_DISTANCE if dense else max(cutoff, MIN_DISTANCE)
    )
    closest = int(np.argmin(distances))
    if distances[closest] < MIN_DISTANCE:
        other = int(partners[closest])
        first, second = min(closest, other), max(closest, other)
        whom = "its own periodic image" if first == second else _name(atoms, second)
        return f"{_name(atoms, first)} and {whom} are {distances[closest]:.3f} Å apart, nearer than {MIN_DISTANCE} Å"
    alone = ~np.isfinite(distances) | (distances > cutoff)
    if alone.any():
        return f"{_name(atoms, int(np.argmax(alone)))} has no neighbour within the potential's cutoff of {cutoff} Å"
    return None


def nearest_neighbours(cell: Floats, positions: Floats, cutoff: float) -> tuple[Floats, NDArray[np.int64]]:
    """Return, per atom, the distance (Å) to its nearest neighbour and that neighbour's index.

    All periodic images count, an atom's own too. Distance ``inf`` and index −1: nothing within ``cutoff``.

    :param cell: (3, 3) right-handed cell vectors as rows, Å.
    :param positions: (n, 3), Å; need not be wrapped.
    :return: distances (n,), indices (n,).
    """
    inverse: Floats = np.linalg.inv(cell)
    spans = _spans(inverse, cutoff)
    if np.prod(2 * np.ceil(spans) + 1) > _MANY_IMAGES:  # a very skewed or flat cell; another basis of the same lattice
        cell = minkowski_reduce(cell)[0]  # type: ignore[no-untyped-call]
        inverse = np.linalg.inv(cell)
        spans = _spans(inverse, cutoff)
    fractional = positions @ inverse
    fractional -= np.floor(fractional)
    n_atoms = len(fractional)
    images, owners = _images(fractional, spans)
    # Relative to the cell's middle: Gram distances lose digits with the square of the coordinates.
    middle = fractional.mean(axis=0)
    here, there = (fractional - middle) @ cell, (images - middle) @ cell
    distances = np.full(n_atoms, np.inf)
    partners = np.full(n_atoms, -1, dtype=np.int64)
    step = max(1, _CHUNK // len(there))
    there_squared = np.einsum("ij,ij->i", there, there)
    for start in range(0, n_atoms, step):
        block = here[start : start + step]
        rows = np.arange(len(block))
        squared = there_squared - 2.0 * (block @ there.T)
        squared[rows, start + rows] = np.inf  # itself; the images begin with the atoms of the cell in order
        nearest = squared.argmin(axis=1)
        exact = np.linalg.norm(block - there[nearest], axis=1)
        exact[~np.isfinite(squared[rows, nearest])] = np.inf
        within = exact <= cutoff
        distances[start : start + step][within] = exact[within]
        partners[start : start + step][within] = owners[nearest[within]]
    return distances, partners


def _spans(inverse: Floats, cutoff: float) -> Floats:
    """Return the cutoff in units of the cell's three heights, from the inverse cell."""
    spans: Floats = cutoff * np.sqrt((inverse * inverse).sum(axis=0))
    return spans


def _images(fractional: Floats, spans: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Return the fractional coordinates of all images that can be within the cutoff, and whose images they are.

    The first n are the atoms of the cell themselves. The axes are unrolled one by one, and after each what lies
    further than the cutoff from all atoms of the cell is dropped.
    """
    images, owners = fractional, np.arange(len(fractional), dtype=np.int64)
    tolerance = 1e-9
    lowest, highest = fractional.min(axis=0) - spans - tolerance, fractional.max(axis=0) + spans + tolerance
    for axis in range(3):
        reach = int(np.ceil(spans[axis]))
        shifts = np.array([0.0] + [float(shift) for shift in range(-reach, reach + 1) if shift != 0])
        moved = images[:, axis] + shifts[:, None]
        keep = (moved >= lowest[axis]) & (moved <= highest[axis])
        origin = keep.nonzero()[1]
        images, owners = images[origin], owners[origin]
        images[:, axis] = moved[keep]
    return images, owners


def check_result(result: dict[str, Any], n_atoms: int, properties: Sequence[str]) -> str | None:
    """Return why a model's answer is unusable, or ``None``.

    :param result: ``energy`` (eV) and, where asked for, ``forces`` (n, 3) in eV/Å and ``stress`` (6,) in eV/Å³.
    """
    shapes = {"energy": (), "forces": (n_atoms, 3), "stress": (6,)}
    for name in properties:
        if name not in result:
            return f"the model gave no {name}"
        value = np.asarray(result[name], dtype=float)
        if value.shape != shapes[name]:
            return f"the model gave {name} of shape {value.shape} instead of {shapes[name]}"
        if not np.isfinite(value).all():
            return f"the model's {name} is not finite"
    return None
