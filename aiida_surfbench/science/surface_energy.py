"""Surface energies by Eq. 1 of the paper, for one slab and for a whole surface set.

Focassio, Freitas, Schleder (2024), "Performance assessment of universal machine learning interatomic potentials:
challenges and directions for materials' surfaces", Eq. 1: gamma = (E_slab - n e_bulk) / (2 A).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

#: Raised whenever a change here can change a number that :func:`compute_surface_energies` gives.
ALGORITHM_VERSION = 1

#: One eV/Å² in J/m² (exact: e = 1.602176634e-19 C by definition, 1 Å² = 1e-20 m²).
EV_PER_A2_TO_J_PER_M2 = 16.02176634

OK = "ok"
FAILED = "failed"
BULK = "bulk"
SLAB = "slab"

Record = dict[str, Any]


def surface_area(cell: ArrayLike) -> float:
    """Area |a × b| in Å² of one face of a slab.

    :param cell: the three cell vectors as rows, shape (3, 3), Å; the slab lies in the plane of the first two.
    :raises ValueError: if the shape is another.
    """
    vectors = np.asarray(cell, dtype=float)
    if vectors.shape != (3, 3):
        raise ValueError(f"a cell has the shape (3, 3), not {vectors.shape}")
    return float(np.linalg.norm(np.cross(vectors[0], vectors[1])))


def surface_energy(e_slab: float, n_atoms: int, e_bulk_per_atom: float, area: float) -> float:
    """Surface energy in J/m² of a slab with two equal faces: (E_slab - n e_bulk) / (2 A), Focassio 2024, Eq. 1.

    :param e_slab: total energy of the slab, eV.
    :param n_atoms: number of atoms of the slab.
    :param e_bulk_per_atom: energy of its bulk by the same method, eV/atom.
    :param area: area of one face, Å².
    :raises ValueError: if ``n_atoms`` or ``area`` is not positive.
    """
    _check_slab(n_atoms, area)
    return float((e_slab - n_atoms * e_bulk_per_atom) / (2.0 * area) * EV_PER_A2_TO_J_PER_M2)


def slab_energy_from_surface_energy(gamma: float, n_atoms: int, e_bulk_per_atom: float, area: float) -> float:
    """Total energy in eV of the slab that has a given surface energy: Focassio 2024, Eq. 1, solved for E_slab.

    :param gamma: surface energy, J/m².
    :param n_atoms: number of atoms of the slab.
    :param e_bulk_per_atom: energy of its bulk, eV/atom.
    :param area: area of one face, Å².
    :raises ValueError: if ``n_atoms`` or ``area`` is not positive.
    """
    _check_slab(n_atoms, area)
    return float(n_atoms * e_bulk_per_atom + gamma / EV_PER_A2_TO_J_PER_M2 * 2.0 * area)


def compute_surface_energies(
    rows: Sequence[Mapping[str, Any]], energies: Mapping[str, Mapping[str, Any]]
) -> list[Record]:
    """Energies, surface energies and their errors (ML - DFT) for every structure of a surface set.

    A slab without ``dft_energy`` gets it from Eq. 1 and its bulk's, and ``slab_energy_derived`` is true: its
    slab-energy error is then the bulk error plus the surface-energy error · 2A/n. A slab without
    ``dft_surface_energy`` gets it from Eq. 1. Where both are given both are used as they are. Without references the
    errors are None and the status is ok.

    A slab has no surface energy (status failed, with the reason) if, in this order, its own prediction failed, its
    composition is not its bulk's, or its bulk's prediction failed.

    :param rows: records with ``structure_id``, ``role`` ('bulk' or 'slab'), ``element`` (reduced formula), ``n_atoms``
        and, where they apply, ``bulk_id``, ``miller_index``, ``area_a2`` (Å²), ``dft_energy`` (eV, total),
        ``dft_surface_energy`` (J/m²), ``lattice`` (of a bulk); an absent key is the same as None.
    :param energies: structure id to ``{"status": "ok" | "failed", "reason": text | None, "energy": eV, total | None}``.
    :return: one record per row, in the order of the rows, all with the same keys; what does not apply is None.
    :raises ValueError: if an id stands twice, a slab's bulk is missing, a number is no usable number, or ``energies``
        knows a structure that the rows do not.
    """
    by_id = _rows_by_id(rows)
    unknown = sorted(set(energies) - set(by_id))
    if unknown:
        raise ValueError(f"energies of {len(unknown)} structures that are not in the set: {', '.join(unknown[:5])}")
    return [
        _bulk_record(row, energies) if row["role"] == BULK else _slab_record(row, by_id[row["bulk_id"]], energies)
        for row in rows
    ]


def _bulk_record(row: Mapping[str, Any], energies: Mapping[str, Mapping[str, Any]]) -> Record:
    """Result of one bulk."""
    energy, reason = _predicted_energy(row, energies)
    predicted, reference = _per_atom(energy, row), _per_atom(_number(row, "dft_energy"), row)
    return _record(
        row,
        lattice=row.get("lattice"),
        bulk_energy_dft_ev_per_atom=reference,
        bulk_energy_ml_ev_per_atom=predicted,
        bulk_energy_error_ev_per_atom=_difference(predicted, reference),
        reason=reason,
    )


def _slab_record(row: Mapping[str, Any], bulk: Mapping[str, Any], energies: Mapping[str, Mapping[str, Any]]) -> Record:
    """Result of one slab; see :func:`compute_surface_energies` for the rules."""
    energy, reason = _predicted_energy(row, energies)
    bulk_energy, bulk_reason = _predicted_energy(bulk, energies)
    bulk_ml, bulk_dft = _per_atom(bulk_energy, bulk), _per_atom(_number(bulk, "dft_energy"), bulk)
    same = row["element"] == bulk["element"]
    if reason is None and not same:
        reason = f"composition {row['element']} is not that of its bulk {bulk['element']}: Eq. 1 does not apply"
    if reason is None and bulk_reason is not None:
        reason = f"bulk failed: {bulk_reason}"
    gamma = None
    if reason is None and energy is not None and bulk_ml is not None:
        gamma = surface_energy(energy, row["n_atoms"], bulk_ml, row["area_a2"])
    energy_dft, gamma_dft, derived = _references(row, bulk_dft if same else None)
    slab_ml, slab_dft = _per_atom(energy, row), _per_atom(energy_dft, row)
    return _record(
        row,
        lattice=bulk.get("lattice"),
        bulk_energy_dft_ev_per_atom=bulk_dft,
        bulk_energy_ml_ev_per_atom=bulk_ml,
        slab_energy_dft_ev_per_atom=slab_dft,
        slab_energy_ml_ev_per_atom=slab_ml,
        slab_energy_error_ev_per_atom=_difference(slab_ml, slab_dft),
        slab_energy_derived=derived,
        surface_energy_dft_j_m2=gamma_dft,
        surface_energy_ml_j_m2=gamma,
        error_j_m2=_difference(gamma, gamma_dft),
        reason=reason,
    )


def _references(row: Mapping[str, Any], bulk_dft: float | None) -> tuple[float | None, float | None, bool]:
    """A slab's reference energy (eV, total), surface energy (J/m²), and whether the energy was derived by Eq. 1.

    Of the two, one that is missing comes from the other and from ``bulk_dft`` (eV/atom), where both are known.
    """
    energy, gamma = _number(row, "dft_energy"), _number(row, "dft_surface_energy")
    if energy is not None and gamma is None and bulk_dft is not None:
        return energy, surface_energy(energy, row["n_atoms"], bulk_dft, row["area_a2"]), False
    if energy is None and gamma is not None and bulk_dft is not None:
        return slab_energy_from_surface_energy(gamma, row["n_atoms"], bulk_dft, row["area_a2"]), gamma, True
    return energy, gamma, False


def _record(
    row: Mapping[str, Any], *, lattice: str | None, reason: str | None, **values: float | bool | None
) -> Record:
    """The full record of a structure: every key stands, with None for what was not given."""
    miller = row.get("miller_index")
    record: Record = {
        "structure_id": row["structure_id"],
        "role": row["role"],
        "bulk_id": row["bulk_id"] if row["role"] == SLAB else None,
        "element": row["element"],
        "lattice": lattice,
        "miller_index": None if miller is None else [int(index) for index in miller],
        "n_atoms": int(row["n_atoms"]),
        "bulk_energy_dft_ev_per_atom": None,
        "bulk_energy_ml_ev_per_atom": None,
        "bulk_energy_error_ev_per_atom": None,
        "slab_energy_dft_ev_per_atom": None,
        "slab_energy_ml_ev_per_atom": None,
        "slab_energy_error_ev_per_atom": None,
        "slab_energy_derived": None,
        "surface_energy_dft_j_m2": None,
        "surface_energy_ml_j_m2": None,
        "error_j_m2": None,
    }
    return {**record, **values, "status": OK if reason is None else FAILED, "reason": reason}


def _rows_by_id(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The rows by structure id, checked: unique ids, known roles, every slab with a bulk, an area and atoms."""
    by_id: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        name = row["structure_id"]
        if name in by_id:
            raise ValueError(f"the structure id {name} stands twice in the set")
        if row["role"] not in (BULK, SLAB):
            raise ValueError(f"{name} has the role {row['role']!r}; a structure is a 'bulk' or a 'slab'")
        by_id[name] = row
    for name, row in by_id.items():
        try:
            _check_slab(row["n_atoms"], row["area_a2"] if row["role"] == SLAB else 1.0)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{name} cannot be used: {error}") from error
        if row["role"] == SLAB and by_id.get(row.get("bulk_id") or "", {}).get("role") != BULK:
            raise ValueError(f"the slab {name} names the bulk {row.get('bulk_id')!r}, which is no bulk of the set")
    return by_id


def _check_slab(n_atoms: int, area: float) -> None:
    """Refuse what Eq. 1 cannot be evaluated with."""
    if n_atoms < 1:
        raise ValueError(f"a structure has at least one atom, not {n_atoms}")
    if not (area > 0.0 and math.isfinite(area)):
        raise ValueError(f"the area of a surface is positive and finite, not {area}")


def _predicted_energy(
    row: Mapping[str, Any], energies: Mapping[str, Mapping[str, Any]]
) -> tuple[float | None, str | None]:
    """The predicted total energy in eV and None, or None and the reason why there is none."""
    name = row["structure_id"]
    if name not in energies:
        return None, "not predicted"
    entry = energies[name]
    if entry["status"] not in (OK, FAILED):
        raise ValueError(f"the prediction of {name} has the status {entry['status']!r}; it is 'ok' or 'failed'")
    if entry["status"] == FAILED:
        return None, entry.get("reason") or "no reason given"
    energy = entry.get("energy")
    if energy is None or not math.isfinite(energy):
        return None, "the predicted energy is not a finite number"
    return float(energy), None


def _per_atom(energy: float | None, row: Mapping[str, Any]) -> float | None:
    """A total energy per atom of the structure."""
    return None if energy is None else energy / int(row["n_atoms"])


def _number(row: Mapping[str, Any], key: str) -> float | None:
    """The value of a column as a finite float, None if it is absent."""
    value = row.get(key)
    if value is None:
        return None
    if not math.isfinite(value):
        raise ValueError(f"{key} of {row['structure_id']} is {value}; it must be a finite number, or absent")
    return float(value)


def _difference(predicted: float | None, reference: float | None) -> float | None:
    """The error ML - DFT, None where one of them is missing."""
    return None if predicted is None or reference is None else predicted - reference
