"""The lattice of an elemental bulk crystal, the grouping of Fig. 5 of Focassio 2024 (fcc, bcc, hcp), plus diamond."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

#: The types, in the order tables show them.
LATTICES = ("fcc", "bcc", "hcp", "diamond", "other")

#: Tolerance in Å. The 36 bulks of the shared Materials Project sets get the same answer from 0.001 to 0.17 Å.
SYMPREC = 0.05

# Space group and number of atoms of the primitive cell say it all. Two atoms in 194 can only be on 2c or 2d, the hcp
# stacking: on 2a or 2b the cell would not be primitive. dhcp has four. One atom in 191 is the simple hexagonal AA.
_TYPES = {(225, 1): "fcc", (229, 1): "bcc", (194, 2): "hcp", (227, 2): "diamond"}


def lattice_type(numbers: ArrayLike, cell: ArrayLike, positions: ArrayLike) -> str:
    """One of :data:`LATTICES`, by space group and primitive cell (spglib through pymatgen, tolerance :data:`SYMPREC`).

    Any setting of the cell works: primitive, conventional, supercell, rotated, reflected. Compounds are "other", and so
    is a crystal whose symmetry spglib cannot determine. hcp holds for every c/a ratio (1.98 in zinc).

    :param numbers: atomic numbers, shape (n,).
    :param cell: the cell vectors as rows, shape (3, 3), Å.
    :param positions: Cartesian positions, shape (n, 3), Å.
    :raises ValueError: if the shapes do not fit, a number is not finite, or the cell has no volume.
    """
    # imported here: pymatgen takes a second to import, and callers of LATTICES do not need it
    from pymatgen.core.structure import Structure
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer, SymmetryUndeterminedError

    species, vectors, points = np.asarray(numbers), np.asarray(cell, dtype=float), np.asarray(positions, dtype=float)
    if species.ndim != 1 or not species.size or vectors.shape != (3, 3) or points.shape != (species.size, 3):
        raise ValueError(f"not a crystal: shapes {species.shape}, {vectors.shape}, {points.shape}")
    if not (np.isfinite(vectors).all() and np.isfinite(points).all()) or abs(np.linalg.det(vectors)) < 1e-6:
        raise ValueError("not a crystal: cell and positions must be finite, and the cell must have a volume")
    if np.unique(species).size > 1:
        return "other"
    structure = Structure(vectors, species.tolist(), points, coords_are_cartesian=True)
    try:
        analyzer = SpacegroupAnalyzer(structure, symprec=SYMPREC)
        key = (analyzer.get_space_group_number(), len(analyzer.find_primitive()))
    except (SymmetryUndeterminedError, ValueError):
        return "other"
    return _TYPES.get(key, "other")
