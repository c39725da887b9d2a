"""The demonstration set: ideal slabs of elemental metals, cut from cited facts, with cited surface energies.

Two small tables are package data. ``demo_bulks.csv`` holds lattice constants (Å) and energies (eV/atom) of the
Materials Project's PBE calculations, taken from matcalc's element references. ``demo_surface_energies.csv`` holds
surface energies (J/m²) of Tran et al. (2016); where a facet is quoted with two and with three decimals, the latter.

How the polymorph that the surface energies belong to was identified: the candidates are the structures whose space
group, atoms per primitive cell and Wyckoff positions are those of fcc (225, 1), bcc (229, 1) and hcp (194, 2 on c or
d), and of several of one kind the lowest in energy. Facets in four indices are hcp's; facets in three belong to fcc or
bcc, whichever is lower in energy. Lithium is the exception. PBE places its fcc 2 meV/atom below bcc, but the Materials
Project's surface energies of (100), (110) and (111) are 0.46, 0.50 and 0.54 J/m² for bcc and 0.47, 0.53 and 0.50 for
fcc: the quoted ones are bcc's. Elements of any other structure (Ga, Ge, Bi) are left out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files

from aiida_surfbench.formats.structure_set import StructureRecord, reduce_miller_index

from .generate import cut_slab, generate_bulk

#: What the set is and is not, for the node, the report and the terminal.
DEMO_DESCRIPTION: dict[str, str] = {
    "title": "Ideal slabs of elemental metals with published surface energies",
    "structures": (
        "Bulks have the lattice constants and energies of the Materials Project's PBE calculations. Slabs are ideal, "
        "unrelaxed terminations cut from these bulks, one per facet."
    ),
    "caveat": (
        "The reference surface energies are of relaxed slabs. Relaxation lowers a surface energy, so the surface "
        "energy that a potential gives for these ideal slabs is biased upward against its reference, and most on open "
        "facets. The set shows how a benchmark works; it does not rank potentials."
    ),
    "surface_energies": "R. Tran et al., Surface energies of elemental crystals, Sci. Data 3, 160080 (2016)",
    "bulks": "Materials Project, PBE, by way of the element references of matcalc (BSD-3-Clause)",
}


@dataclass(frozen=True)
class DemoBulk:
    """One line of ``demo_bulks.csv``.

    :param a: lattice constant in Å.
    :param c: of hcp, the second one in Å.
    :param energy_per_atom: in eV/atom.
    """

    element: str
    lattice: str
    a: float
    c: float | None
    energy_per_atom: float
    source: str


@dataclass(frozen=True)
class DemoSurfaceEnergy:
    """One line of ``demo_surface_energies.csv``.

    :param indices: as printed in the source, such as ``111`` or ``10-10``.
    :param miller_index: (h, k, l).
    :param surface_energy: in J/m².
    """

    element: str
    indices: str
    miller_index: tuple[int, int, int]
    surface_energy: float
    source: str


def demo_bulks() -> dict[str, DemoBulk]:
    """Return the bulks by element: fcc first, then bcc and hcp."""
    return {
        row["element"]: DemoBulk(
            element=row["element"],
            lattice=row["lattice"],
            a=float(row["a_angstrom"]),
            c=float(row["c_angstrom"]) if row["c_angstrom"] else None,
            energy_per_atom=float(row["energy_ev_per_atom"]),
            source=row["source"],
        )
        for row in _rows("demo_bulks.csv")
    }


def demo_surface_energies() -> list[DemoSurfaceEnergy]:
    """Return the surface energies, the elements in the order of :func:`demo_bulks`."""
    return [
        DemoSurfaceEnergy(
            element=row["element"],
            indices=row["miller_index"],
            miller_index=reduce_miller_index([int(digit) for digit in re.findall(r"-?\d", row["miller_index"])]),
            surface_energy=float(row["surface_energy_j_m2"]),
            source=row["source"],
        )
        for row in _rows("demo_surface_energies.csv")
    ]


def demo_records(elements: Collection[str] | None = None) -> list[StructureRecord]:
    """Return the demonstration set: each bulk, followed by its slabs.

    Bulks have ``dft_energy`` (eV), slabs ``dft_surface_energy`` (J/m²), and each a column ``reference`` that cites it.

    :param elements: only these; by default all.
    :raises ValueError: if the set has no such element.
    """
    bulks = demo_bulks()
    unknown = sorted(set(elements or ()) - set(bulks))
    if unknown:
        raise ValueError(f"the demonstration set has no {', '.join(unknown)}; it has {', '.join(bulks)}")
    records: list[StructureRecord] = []
    for bulk in bulks.values():
        if elements is None or bulk.element in elements:
            records.extend(_records_of(bulk, [row for row in demo_surface_energies() if row.element == bulk.element]))
    return records


def _records_of(bulk: DemoBulk, surfaces: list[DemoSurfaceEnergy]) -> list[StructureRecord]:
    record = generate_bulk(bulk.element, bulk.lattice, bulk.a, bulk.c, energy_per_atom=bulk.energy_per_atom)
    records = [replace(record, extra={**record.extra, "reference": bulk.source})]
    for surface in surfaces:
        slab = cut_slab(record, surface.miller_index)
        extra = {**slab.extra, "reference": surface.source}
        records.append(replace(slab, dft_surface_energy=surface.surface_energy, extra=extra))
    return records


def _rows(name: str) -> list[Mapping[str, str]]:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
