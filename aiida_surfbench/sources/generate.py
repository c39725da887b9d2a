"""Ideal bulks and slabs, made from a lattice.

The slabs are cut with pymatgen's ``SlabGenerator`` from the conventional cell and brought to a cell of one fixed form:
a along x, b in the xy plane, c along the surface normal, right-handed, the slab in the middle of c.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from ase.data import atomic_numbers, chemical_symbols
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core.lattice import Lattice
from pymatgen.core.structure import Structure
from pymatgen.core.surface import SlabGenerator
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from aiida_surfbench.formats.structure_set import BULK, SLAB, FloatArray, StructureRecord, reduce_miller_index

#: Fractional coordinates of the conventional cells.
LATTICES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "fcc": ((0.0, 0.0, 0.0), (0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0)),
    "bcc": ((0.0, 0.0, 0.0), (0.5, 0.5, 0.5)),
    "hcp": ((1 / 3, 2 / 3, 0.25), (2 / 3, 1 / 3, 0.75)),
}

MIN_SLAB_SIZE = 10.0  # Å
MIN_VACUUM_SIZE = 15.0  # Å
MIN_LAYERS = 5

_DECIMALS = 10  # of coordinates in Å: coarser than the noise of linear algebra, so that hashes are the same everywhere
_PLANE_TOLERANCE = 0.1  # Å: atoms closer than this along the normal are one layer


class SlabError(ValueError):
    """No slab can be cut as asked; the message says why."""


def generate_bulk(
    element: str,
    lattice: str,
    a: float,
    c: float | None = None,
    *,
    structure_id: str | None = None,
    energy_per_atom: float | None = None,
) -> StructureRecord:
    """Return the conventional cell of an elemental crystal: 4 atoms (fcc), 2 (bcc) or 2 (hcp).

    :param element: chemical symbol.
    :param lattice: ``fcc``, ``bcc`` or ``hcp``.
    :param a: lattice constant in Å.
    :param c: of hcp, the second lattice constant in Å.
    :param structure_id: by default element and lattice, as in ``Cu-fcc``.
    :param energy_per_atom: reference energy in eV/atom; the record's ``dft_energy`` is that of the cell.
    :raises ValueError: if element, lattice or lattice constants are none.
    """
    if lattice not in LATTICES:
        raise ValueError(f"lattice must be one of {', '.join(LATTICES)}; got {lattice!r}")
    if element not in chemical_symbols[1:]:
        raise ValueError(f"{element!r} is no chemical element")
    if (c is not None) != (lattice == "hcp"):
        raise ValueError(f"c belongs to hcp and only to it; got c={c} for {lattice}")
    if not all(math.isfinite(length) and length > 0 for length in (a, a if c is None else c)):
        raise ValueError(f"lattice constants must be positive lengths in Å; got a={a}, c={c}")
    cell = np.diag([a, a, a]) if c is None else np.array([[a, 0, 0], [-a / 2, a * math.sqrt(3) / 2, 0], [0, 0, c]])
    basis = np.array(LATTICES[lattice])
    return StructureRecord(
        structure_id=structure_id or f"{element}-{lattice}",
        numbers=np.full(len(basis), atomic_numbers[element], dtype=np.int64),
        positions=_rounded(basis @ cell),
        cell=_rounded(cell),
        role=BULK,
        dft_energy=None if energy_per_atom is None else energy_per_atom * len(basis),
        extra={"crystal_structure": lattice},
    )


def cut_slab(
    bulk: StructureRecord,
    miller_index: Sequence[int],
    *,
    min_slab_size: float = MIN_SLAB_SIZE,
    min_vacuum_size: float = MIN_VACUUM_SIZE,
    min_layers: int = MIN_LAYERS,
) -> StructureRecord:
    """Return the slab with the termination where neighbouring layers are farthest apart: see :func:`cut_slabs`."""
    return cut_slabs(
        bulk, miller_index, min_slab_size=min_slab_size, min_vacuum_size=min_vacuum_size, min_layers=min_layers
    )[0]


def cut_slabs(
    bulk: StructureRecord,
    miller_index: Sequence[int],
    *,
    min_slab_size: float = MIN_SLAB_SIZE,
    min_vacuum_size: float = MIN_VACUUM_SIZE,
    min_layers: int = MIN_LAYERS,
) -> list[StructureRecord]:
    """Return the ideal slabs of a plane whose two faces are equivalent and whose composition is the bulk's.

    Of an element one slab is returned: that cut where neighbouring layers are farthest apart, which leaves the densest
    and, as a rule, most stable faces. Of a compound there is one per different termination, widest gap first. The slab
    has the smallest cell in the plane; its thickness is a whole number of repeat units.

    :param bulk: the conventional cell, which the Miller index refers to.
    :param miller_index: (h, k, l), or (h, k, i, l).
    :param min_slab_size: least thickness in Å, counted as number of atoms times volume per atom over area.
    :param min_vacuum_size: distance in Å from the topmost layer to the next image's lowest.
    :param min_layers: least number of atomic layers.
    :raises SlabError: if the plane has no termination with equivalent faces and the bulk's composition.
    :raises ValueError: if ``miller_index`` is none, or a size is not positive.
    """
    hkl = reduce_miller_index(miller_index)
    divisor = math.gcd(*hkl)
    hkl = (hkl[0] // divisor, hkl[1] // divisor, hkl[2] // divisor)
    if not (min_slab_size > 0 and min_vacuum_size > 0 and min_layers > 0):
        raise ValueError("min_slab_size, min_vacuum_size and min_layers must be positive")
    structure = _structure(bulk.cell, bulk.numbers, bulk.positions)
    # one repeat unit under a vacuum of one or more; a unit's smallest cell in the plane is that of any number of units
    generator = SlabGenerator(structure.copy(), hkl, 1e-3, 10.0, primitive=True, reorient_lattice=False)
    height, shifts = _terminations(generator.oriented_unit_cell)
    if not shifts:
        raise SlabError(f"{bulk.structure_id}, plane {hkl}: the atoms form no separate layers")
    n_repeats = math.ceil(max(min_slab_size / height, min_layers / len(shifts)) - 1e-6)
    matcher = StructureMatcher(primitive_cell=False, scale=False)
    slabs: list[Structure] = []
    for shift in shifts:
        slab = _cut(generator, shift, n_repeats, height, min_vacuum_size)
        if not _has_equivalent_faces(slab) or any(matcher.fit(slab, other) for other in slabs):
            continue
        slabs.append(slab)
        if len(structure.composition) == 1:
            break
    if not slabs:
        raise SlabError(
            f"{bulk.structure_id}, plane {hkl}: no termination has two equivalent faces and the composition "
            f"{structure.composition.reduced_formula}"
        )
    return [
        _record(slab, bulk, hkl, n_repeats * len(shifts), number if len(slabs) > 1 else None)
        for number, slab in enumerate(slabs)
    ]


def _structure(cell: npt.ArrayLike, numbers: npt.ArrayLike, positions: npt.ArrayLike) -> Structure:
    symbols = [chemical_symbols[number] for number in np.asarray(numbers)]
    return Structure(Lattice(cell), symbols, positions, coords_are_cartesian=True)


def _rounded(array: FloatArray) -> FloatArray:
    return np.round(array, _DECIMALS) + 0.0  # no negative zero


def _record(
    slab: Structure, bulk: StructureRecord, hkl: tuple[int, int, int], n_layers: int, termination: int | None
) -> StructureRecord:
    digits = [str(index) for index in hkl]
    plane = "".join(digits) if all(len(digit) == 1 for digit in digits) else "_".join(digits)
    return StructureRecord(
        structure_id=f"{bulk.structure_id}-{plane}" + ("" if termination is None else f"-t{termination}"),
        numbers=np.array(slab.atomic_numbers, dtype=np.int64),
        positions=np.array(slab.cart_coords),
        cell=np.array(slab.lattice.matrix),
        role=SLAB,
        bulk_id=bulk.structure_id,
        miller_index=hkl,
        extra={**bulk.extra, "n_layers": n_layers},
    )


def _terminations(unit: Structure) -> tuple[float, list[float]]:
    """Return the height of a plane's repeat unit in Å and where it can be cut (fractions of it), widest gap first."""
    height = unit.volume / float(np.linalg.norm(np.cross(*unit.lattice.matrix[:2])))
    z, gaps = _gaps(unit.frac_coords[:, 2])
    cuts = [
        (-round(gap * height, 4), round((low + gap / 2) % 1.0, _DECIMALS))
        for low, gap in zip(z, gaps, strict=True)
        if gap * height > _PLANE_TOLERANCE
    ]
    return height, [float(shift) for _, shift in sorted(cuts)]


def _gaps(fractional: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return periodic coordinates in [0, 1), sorted, and the distance from each to the next, shape (n,) both."""
    z = np.sort((fractional + 1e-6) % 1.0) - 1e-6
    return z, np.diff(z, append=z[0] + 1.0)


def _cut(generator: SlabGenerator, shift: float, n_repeats: int, height: float, vacuum: float) -> Structure:
    """Return the slab of ``n_repeats`` repeat units (each of ``height`` Å) in its standard cell.

    :raises SlabError: if its area is not the one that volume and thickness demand.
    """
    unit = generator.get_slab(shift)
    a, b = unit.lattice.matrix[:2]
    area = float(np.linalg.norm(np.cross(a, b)))
    expected = len(unit) * generator.parent.volume / len(generator.parent) / height
    if not math.isclose(area, expected, rel_tol=1e-4):
        raise SlabError(
            f"plane {generator.miller_index}: the slab has an area of {area:.4f} Å² where {expected:.4f} Å² are due"
        )

    # the lowest layer is the one above the widest gap, the vacuum; the unit is made whole from there
    z, gaps = _gaps(unit.frac_coords[:, 2])
    bottom = z[(int(np.argmax(gaps)) + 1) % len(z)]
    rise = (unit.frac_coords[:, 2] - bottom + 1e-6) % 1.0 - 1e-6
    positions = np.column_stack([unit.frac_coords[:, :2], rise]) @ unit.lattice.matrix
    step = generator.oriented_unit_cell.lattice.matrix[2]
    if step @ unit.lattice.matrix[2] < 0:
        step = -step
    stacked = np.concatenate([positions + repeat * step for repeat in range(n_repeats)])
    return _standardise(a, b, np.tile(unit.atomic_numbers, n_repeats), stacked, vacuum)


def _standardise(
    a: FloatArray, b: FloatArray, numbers: npt.NDArray[np.int64], positions: FloatArray, vacuum: float
) -> Structure:
    """Return a slab in the cell that the module's docstring describes, its layers in rising order.

    :param a: first vector of the plane's lattice in Å, shape (3,); ``b`` the second.
    :param numbers: atomic numbers, shape (n,).
    :param positions: in Å, shape (n, 3), the slab in one piece.
    """
    a, b = _reduce_plane(a, b)
    x, normal = a / np.linalg.norm(a), np.cross(a, b) / np.linalg.norm(np.cross(a, b))
    axes = np.array([x, np.cross(normal, x), normal])
    positions = positions @ axes.T
    cell = np.zeros((3, 3))
    cell[0, 0], cell[1, :2], cell[2, 2] = np.linalg.norm(a), axes[:2] @ b, np.ptp(positions[:, 2]) + vacuum

    positions -= positions[np.argmin(np.round(positions[:, 2], 4))] * np.array([1.0, 1.0, 0.0])
    fractional = positions[:, :2] @ np.linalg.inv(cell[:2, :2])
    positions[:, :2] = ((fractional + 1e-6) % 1.0 - 1e-6) @ cell[:2, :2]
    positions[:, 2] += vacuum / 2 - positions[:, 2].min()
    keys = np.round(positions, 4)
    order = np.lexsort((keys[:, 0], keys[:, 1], keys[:, 2]))
    return _structure(_rounded(cell), numbers[order], _rounded(positions[order]))


def _reduce_plane(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the shortest two vectors of a plane's lattice, |a| ≤ |b| and 90° ≤ γ ≤ 120°."""
    while True:
        b = b - math.ceil(float(a @ b / (a @ a)) - 0.5 + 1e-6) * a  # a·b/a² is now in [−1/2, 1/2), ties go down
        if np.linalg.norm(b) > np.linalg.norm(a) - 1e-6:
            break
        a, b = b, a
    return (a, b) if a @ b < 1e-6 else (a, -b)


def _has_equivalent_faces(slab: Structure) -> bool:
    """Return whether a symmetry operation exchanges the two faces (c along the normal)."""
    operations = SpacegroupAnalyzer(slab, symprec=0.01).get_symmetry_operations()
    return any(operation.rotation_matrix[2][2] < -0.5 for operation in operations)
