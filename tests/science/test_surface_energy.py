"""Eq. 1 and the records of a surface set, against values worked out by hand."""

import json
import math
import os
from pathlib import Path

import ase.io
import numpy as np
import pytest

from aiida_surfbench.science.surface_energy import (
    EV_PER_A2_TO_J_PER_M2,
    compute_surface_energies,
    slab_energy_from_surface_energy,
    surface_area,
    surface_energy,
)

SHARED = Path(os.environ.get("SURFBENCH_SHARED", Path(__file__).parents[3] / "shared"))
REAL_SET = SHARED / "data" / "mp_surfaces" / "dft_slabs_5_elements.extxyz"

# Round numbers: bulk of 2 atoms, -4 eV/atom; slab of 10 atoms over 20 Å².
BULK_ROW = {"structure_id": "b", "role": "bulk", "element": "Cu", "n_atoms": 2, "dft_energy": -8.0, "lattice": "fcc"}
SLAB_ROW = {
    "structure_id": "s",
    "role": "slab",
    "bulk_id": "b",
    "miller_index": [1, 1, 0],
    "element": "Cu",
    "n_atoms": 10,
    "area_a2": 20.0,
}


def ok(energy):
    return {"status": "ok", "reason": None, "energy": energy}


def failed(reason):
    return {"status": "failed", "reason": reason, "energy": None}


# ML: bulk -8.2/2 = -4.1 eV/atom; slab (-37 + 41)/40 eV/Å² = 0.1 eV/Å² = 1.602176634 J/m²
ENERGIES = {"b": ok(-8.2), "s": ok(-37.0)}


def slab_result(slab=None, bulk=None, energies=ENERGIES):
    return compute_surface_energies([{**BULK_ROW, **(bulk or {})}, {**SLAB_ROW, **(slab or {})}], energies)[1]


def test_constant_is_the_exact_conversion():
    assert pytest.approx(1.602176634e-19 / 1e-20, rel=1e-15) == EV_PER_A2_TO_J_PER_M2


def test_area_of_an_oblique_cell():
    # |a × b| = 2 · 3 · sin 30° = 3; c plays no part
    cell = [[2.0, 0.0, 0.0], [3.0 * math.cos(math.pi / 6), 1.5, 0.0], [7.0, -1.0, 25.0]]
    assert surface_area(cell) == pytest.approx(3.0)


def test_area_refuses_another_shape():
    with pytest.raises(ValueError, match=r"\(3, 3\)"):
        surface_area([[1.0, 0.0], [0.0, 1.0]])


def test_surface_energy_by_hand():
    # (-38 - 10·(-4)) / (2·20) = 2/40 = 0.05 eV/Å²; times 16.02176634 = 0.801088317 J/m²
    assert surface_energy(-38.0, 10, -4.0, 20.0) == pytest.approx(0.801088317, abs=1e-12)


def test_inverse_of_surface_energy():
    # back: 10·(-4) + 0.801088317/16.02176634 · 40 = -40 + 2 = -38
    assert slab_energy_from_surface_energy(0.801088317, 10, -4.0, 20.0) == pytest.approx(-38.0, abs=1e-12)


@pytest.mark.parametrize(("n_atoms", "area"), [(0, 20.0), (10, 0.0), (10, -1.0), (10, math.nan), (10, math.inf)])
def test_eq1_refuses_no_atoms_and_no_area(n_atoms, area):
    with pytest.raises(ValueError, match=r"at least one atom|area of a surface"):
        surface_energy(-38.0, n_atoms, -4.0, area)
    with pytest.raises(ValueError, match=r"at least one atom|area of a surface"):
        slab_energy_from_surface_energy(1.0, n_atoms, -4.0, area)


def test_bulk_record():
    record = compute_surface_energies([BULK_ROW, SLAB_ROW], ENERGIES)[0]
    assert record["bulk_energy_dft_ev_per_atom"] == -4.0
    assert record["bulk_energy_ml_ev_per_atom"] == pytest.approx(-4.1)
    assert record["bulk_energy_error_ev_per_atom"] == pytest.approx(-0.1)
    assert record["lattice"] == "fcc"
    assert record["status"] == "ok"
    assert record["slab_energy_derived"] is None
    assert record["bulk_id"] is None


def test_slab_energy_is_derived_from_the_surface_energy():
    record = slab_result({"dft_surface_energy": 0.801088317})
    assert record["slab_energy_derived"] is True
    assert record["slab_energy_dft_ev_per_atom"] == pytest.approx(-3.8)  # -38 eV, as above, over 10 atoms
    assert record["slab_energy_ml_ev_per_atom"] == pytest.approx(-3.7)
    assert record["slab_energy_error_ev_per_atom"] == pytest.approx(0.1)
    assert record["surface_energy_dft_j_m2"] == 0.801088317
    assert record["surface_energy_ml_j_m2"] == pytest.approx(1.602176634)
    assert record["error_j_m2"] == pytest.approx(0.801088317)
    assert record["bulk_energy_dft_ev_per_atom"] == -4.0
    assert record["bulk_energy_ml_ev_per_atom"] == pytest.approx(-4.1)
    assert record["bulk_energy_error_ev_per_atom"] is None
    assert (record["lattice"], record["miller_index"], record["bulk_id"]) == ("fcc", [1, 1, 0], "b")
    assert (record["status"], record["reason"]) == ("ok", None)


def test_surface_energy_from_the_slab_energy():
    record = slab_result({"dft_energy": -38.0})
    assert record["slab_energy_derived"] is False
    assert record["slab_energy_dft_ev_per_atom"] == pytest.approx(-3.8)
    assert record["surface_energy_dft_j_m2"] == pytest.approx(0.801088317)


def test_both_references_are_used_as_they_are():
    # they contradict each other by Eq. 1; neither is touched
    record = slab_result({"dft_energy": -38.0, "dft_surface_energy": 2.0})
    assert record["slab_energy_derived"] is False
    assert record["slab_energy_dft_ev_per_atom"] == pytest.approx(-3.8)
    assert record["surface_energy_dft_j_m2"] == 2.0


def test_derived_slab_error_is_bulk_error_plus_surface_error():
    rng = np.random.default_rng(7)
    for _ in range(50):
        n_atoms, area, gamma = int(rng.integers(1, 60)), float(rng.uniform(5, 90)), float(rng.uniform(0.1, 4))
        energies = {"b": ok(float(rng.normal(-8, 1))), "s": ok(float(rng.normal(-4 * n_atoms, 3)))}
        slab = {"n_atoms": n_atoms, "area_a2": area, "dft_surface_energy": gamma}
        bulk, record = compute_surface_energies([BULK_ROW, {**SLAB_ROW, **slab}], energies)
        bulk_error = bulk["bulk_energy_error_ev_per_atom"]
        surface_part = record["error_j_m2"] / 16.02176634 * 2 * area / n_atoms
        assert record["slab_energy_error_ev_per_atom"] == pytest.approx(bulk_error + surface_part, abs=1e-11)


def test_a_missing_prediction_is_a_failure():
    record = slab_result({"dft_energy": -38.0}, energies={"b": ok(-8.2)})
    assert (record["status"], record["reason"]) == ("failed", "not predicted")
    assert record["slab_energy_dft_ev_per_atom"] == pytest.approx(-3.8)
    assert record["surface_energy_dft_j_m2"] == pytest.approx(0.801088317)
    assert record["slab_energy_ml_ev_per_atom"] is None
    assert record["surface_energy_ml_j_m2"] is None
    assert record["error_j_m2"] is None


def test_a_failed_slab_has_its_own_reason():
    record = slab_result(energies={"b": failed("memory"), "s": failed("unknown element")})
    assert (record["status"], record["reason"]) == ("failed", "unknown element")


def test_a_failed_bulk_fails_its_slab_but_keeps_the_slab_energy():
    bulk, record = compute_surface_energies(
        [BULK_ROW, {**SLAB_ROW, "dft_energy": -38.0}], {"b": failed("memory"), "s": ok(-37.0)}
    )
    assert (bulk["status"], bulk["reason"]) == ("failed", "memory")
    assert bulk["bulk_energy_error_ev_per_atom"] is None
    assert (record["status"], record["reason"]) == ("failed", "bulk failed: memory")
    assert record["surface_energy_ml_j_m2"] is None
    assert record["slab_energy_ml_ev_per_atom"] == pytest.approx(-3.7)
    assert record["slab_energy_error_ev_per_atom"] == pytest.approx(0.1)


def test_a_bulk_that_was_not_predicted_fails_its_slab():
    assert slab_result(energies={"s": ok(-37.0)})["reason"] == "bulk failed: not predicted"


@pytest.mark.parametrize("energy", [math.nan, math.inf, None])
def test_an_energy_that_is_no_number_is_a_failure(energy):
    record = slab_result(energies={"b": ok(-8.2), "s": ok(energy)})
    assert (record["status"], record["reason"]) == ("failed", "the predicted energy is not a finite number")


def test_a_failure_without_reason_says_so():
    assert slab_result(energies={"b": ok(-8.2), "s": failed(None)})["reason"] == "no reason given"


@pytest.mark.parametrize("references", [{"dft_energy": -38.0}, {"dft_surface_energy": 0.8}])
def test_another_composition_than_the_bulks(references):
    record = slab_result({"element": "CuO", **references})
    assert record["status"] == "failed"
    assert record["reason"] == "composition CuO is not that of its bulk Cu: Eq. 1 does not apply"
    assert record["surface_energy_ml_j_m2"] is None
    assert record["slab_energy_ml_ev_per_atom"] == pytest.approx(-3.7)
    # Eq. 1 fills no gaps either
    assert record["slab_energy_derived"] is False
    assert (record["slab_energy_dft_ev_per_atom"] is None) == ("dft_energy" not in references)
    assert (record["surface_energy_dft_j_m2"] is None) == ("dft_surface_energy" not in references)


def test_a_set_without_references():
    bulk, record = compute_surface_energies([{**BULK_ROW, "dft_energy": None}, SLAB_ROW], ENERGIES)
    assert (bulk["status"], record["status"]) == ("ok", "ok")
    assert bulk["bulk_energy_ml_ev_per_atom"] == pytest.approx(-4.1)
    assert bulk["bulk_energy_error_ev_per_atom"] is None
    assert record["surface_energy_ml_j_m2"] == pytest.approx(1.602176634)
    assert record["slab_energy_error_ev_per_atom"] is None
    assert record["error_j_m2"] is None
    assert record["slab_energy_derived"] is False


def test_a_surface_energy_without_a_bulk_reference_derives_nothing():
    record = slab_result({"dft_surface_energy": 0.8}, bulk={"dft_energy": None})
    assert record["error_j_m2"] == pytest.approx(1.602176634 - 0.8)
    assert record["slab_energy_derived"] is False
    assert record["slab_energy_dft_ev_per_atom"] is None


def test_records_keep_the_order_have_one_set_of_keys_and_are_json():
    slab = {**SLAB_ROW, "n_atoms": np.int64(10), "area_a2": np.float64(20.0), "miller_index": np.array([1, 1, 0])}
    energies = {"b": ok(np.float64(-8.2)), "s": ok(np.float32(-37.0))}
    records = compute_surface_energies([slab, BULK_ROW], energies)
    assert [record["structure_id"] for record in records] == ["s", "b"]
    assert records[0].keys() == records[1].keys()
    json.dumps(records, allow_nan=False)
    assert type(records[0]["surface_energy_ml_j_m2"]) is float


@pytest.mark.parametrize(
    ("rows", "energies", "message"),
    [
        ([BULK_ROW], {"x": ok(1.0)}, "not in the set: x"),
        ([BULK_ROW, BULK_ROW], {}, "b stands twice"),
        ([SLAB_ROW], {}, "names the bulk 'b'"),
        ([BULK_ROW, {**SLAB_ROW, "bulk_id": None}], {}, "names the bulk None"),
        ([BULK_ROW, {**SLAB_ROW, "bulk_id": "s"}], {}, "names the bulk 's'"),
        ([{**BULK_ROW, "role": "wire"}], {}, "role 'wire'"),
        ([BULK_ROW, {**SLAB_ROW, "area_a2": 0.0}], {}, "s cannot be used: the area"),
        ([BULK_ROW, {**SLAB_ROW, "area_a2": None}], {}, "s cannot be used"),
        ([{**BULK_ROW, "n_atoms": 0}], {}, "b cannot be used: a structure has at least one atom"),
        ([{**BULK_ROW, "dft_energy": math.nan}], {}, "dft_energy of b is nan"),
        ([BULK_ROW], {"b": {"status": "done", "energy": 1.0}}, "status 'done'"),
    ],
)
def test_bad_input_is_refused(rows, energies, message):
    with pytest.raises(ValueError, match=message):
        compute_surface_energies(rows, energies)


@pytest.mark.skipif(not REAL_SET.exists(), reason="the shared data are not here")
def test_total_energies_of_real_slabs_give_the_published_surface_energies():
    """DFT totals of whole slabs through Eq. 1 against Tran et al. 2016 (Sci. Data 3, 160080), J/m²."""
    rows = [
        {
            **atoms.info,
            "element": atoms.get_chemical_formula(empirical=True),
            "n_atoms": len(atoms),
            "area_a2": surface_area(atoms.cell.array),
        }
        for atoms in ase.io.read(REAL_SET, index=":")
    ]
    found = {record["structure_id"]: record["surface_energy_dft_j_m2"] for record in compute_surface_energies(rows, {})}
    published = {
        "Cu-slab-19": 1.468,  # 100
        "Cu-slab-21": 1.314,  # 111
        "Cu-slab-22": 1.561,  # 110
        "Mo-slab-18": 2.797,  # 110
        "Mo-slab-19": 3.182,  # 100
        "W-slab-2": 3.954,  # 100
        "W-slab-13": 3.228,  # 110
    }
    assert {name: found[name] for name in published} == pytest.approx(published, abs=0.015)
