"""Metrics of a small set against values worked out by hand, groups, masks, rules for missing data."""

import json
import time

import numpy as np
import pytest

from aiida_surfbench.science import bootstrap
from aiida_surfbench.science.metrics import common_ids, compute_metrics
from aiida_surfbench.science.surface_energy import compute_surface_energies

# Area such that 1 J/m² is 1 eV per slab: 2A = 16.02176634 Å²
AREA = 16.02176634 / 2


def bulk(name, element, dft, ml, lattice=None):
    """A bulk of one atom: row and prediction (None: failed)."""
    row = {"structure_id": name, "role": "bulk", "element": element, "n_atoms": 1, "dft_energy": dft}
    return {**row, "lattice": lattice}, prediction(name, ml)


def slab(name, bulk_id, element, miller, energies):
    """A slab of four atoms; energies: reference surface energy (J/m²), predicted total energy (eV; None: failed)."""
    gamma, ml = energies
    row = {"structure_id": name, "role": "slab", "bulk_id": bulk_id, "element": element, "miller_index": miller}
    return {**row, "n_atoms": 4, "area_a2": AREA, "dft_surface_energy": gamma}, prediction(name, ml)


def prediction(name, energy):
    status = "failed" if energy is None else "ok"
    return name, {"status": status, "reason": "memory" if energy is None else None, "energy": energy}


def results(*structures):
    return compute_surface_energies([row for row, _ in structures], dict(energy for _, energy in structures))


# bulk      DFT   ML    error
# Cu-1     -4.0  -4.1   -0.1
# Mo-1    -10.0 -10.0    0.0
# Mo-2    (failed)
#
# slab              γ DFT  E ML    γ ML = E ML - 4 ε ML      error   slab energy error/atom = bulk error + γ error/4
# Cu 111  (Cu-1)     1.0  -15.0    -15.0 + 16.4 = 1.4         0.4    -0.1 + 0.1  =  0.0
# Cu 100  (Cu-1)     2.0  -14.6    -14.6 + 16.4 = 1.8        -0.2    -0.1 - 0.05 = -0.15
# Mo 110  (Mo-1)     3.0  -38.0    -38.0 + 40.0 = 2.0        -1.0     0.0 - 0.25 = -0.25
# Mo 100  (Mo-1)     3.5  failed
# Mo 111  (Mo-2)     3.0  -37.0    none, its bulk failed             reference 4·(-9) + 3 = -33; (-37 + 33)/4 = -1.0
SMALL = [
    bulk("Cu-1", "Cu", -4.0, -4.1, "fcc"),
    bulk("Mo-1", "Mo", -10.0, -10.0, "bcc"),
    bulk("Mo-2", "Mo", -9.0, None, "other"),
    slab("Cu-111", "Cu-1", "Cu", [1, 1, 1], (1.0, -15.0)),
    slab("Cu-100", "Cu-1", "Cu", [1, 0, 0], (2.0, -14.6)),
    slab("Mo-110", "Mo-1", "Mo", [1, 1, 0], (3.0, -38.0)),
    slab("Mo-100", "Mo-1", "Mo", [1, 0, 0], (3.5, None)),
    slab("Mo-111", "Mo-2", "Mo", [1, 1, 1], (3.0, -37.0)),
]


def synthetic(n_bulks=8, slabs_per_bulk=4, seed=1):
    """Rows of a set with shared errors per bulk and two elements."""
    rng = np.random.default_rng(seed)
    structures = []
    for i in range(n_bulks):
        name, element = f"b{i}", ("Cu", "Mo")[i % 2]
        ml = -4.0 + rng.normal(0, 0.1)
        structures.append(bulk(name, element, -4.0 + rng.normal(0, 0.5), ml, ("fcc", "bcc")[i % 2]))
        for j in range(slabs_per_bulk):
            gamma = rng.uniform(1, 3)
            miller = [[1, 0, 0], [1, 1, 0], [1, 1, 1], [2, 1, 0]][j % 4]
            structures.append(
                slab(f"{name}-{j}", name, element, miller, (gamma, 4 * ml + gamma + rng.normal(-0.2, 0.3)))
            )
    return results(*structures)


def test_overall_by_hand():
    overall = compute_metrics(results(*SMALL))["overall"]
    assert (overall["n_bulks"], overall["n_slabs"]) == (3, 5)
    assert (overall["n_failed"], overall["n_bulks_failed"]) == (2, 1)
    assert (overall["slab_energy_derived"], overall["n_slab_energy_derived"]) == (True, 5)
    assert (overall["n_bulk_energy"], overall["n_slab_energy"], overall["n_surface_energy"]) == (2, 4, 3)
    # bulk errors -0.1 and 0: mean square 0.01/2
    assert overall["bulk_energy_rmse_ev_per_atom"] == pytest.approx(0.005**0.5)
    assert overall["bulk_energy_mae_ev_per_atom"] == pytest.approx(0.05)
    assert overall["bulk_energy_bias_ev_per_atom"] == pytest.approx(-0.05)
    # references -4 and -10: SS_tot = 2·9 = 18
    assert overall["bulk_energy_r2"] == pytest.approx(1 - 0.01 / 18)
    # slab errors 0, -0.15, -0.25, -1.0: (0.0225 + 0.0625 + 1.0)/4 = 0.27125
    assert overall["slab_energy_rmse_ev_per_atom"] == pytest.approx(0.27125**0.5)
    assert overall["slab_energy_mae_ev_per_atom"] == pytest.approx(0.35)
    assert overall["slab_energy_bias_ev_per_atom"] == pytest.approx(-0.35)
    # surface errors 0.4, -0.2, -1.0: (0.16 + 0.04 + 1.0)/3 = 0.4
    assert overall["surface_energy_rmse_j_m2"] == pytest.approx(0.4**0.5)
    assert overall["surface_energy_mae_j_m2"] == pytest.approx(1.6 / 3)
    assert overall["surface_energy_bias_j_m2"] == pytest.approx(-0.8 / 3)
    # γ DFT 1, 2, 3: SS_tot = 2, SS_res = 1.2; slope Σ (x-2)·y / 2 = (-1.4 + 2.0)/2 = 0.3
    assert overall["surface_energy_r2"] == pytest.approx(1 - 1.2 / 2)
    assert overall["surface_energy_slope"] == pytest.approx(0.3)
    # three bulks are too few for intervals
    assert all(value is None for key, value in overall.items() if "ci95" in key)


def test_groups_by_hand():
    metrics = compute_metrics(results(*SMALL))
    copper, molybdenum = metrics["by_element"]
    assert (copper["element"], molybdenum["element"]) == ("Cu", "Mo")
    assert (copper["n_bulks"], copper["n_slabs"], copper["n_failed"], copper["n_bulks_failed"]) == (1, 2, 0, 0)
    assert copper["surface_energy_rmse_j_m2"] == pytest.approx(0.1**0.5)  # (0.16 + 0.04)/2
    assert copper["bulk_energy_r2"] is None
    assert (molybdenum["n_bulks"], molybdenum["n_slabs"], molybdenum["n_failed"]) == (2, 3, 2)
    assert molybdenum["n_bulks_failed"] == 1
    assert molybdenum["surface_energy_slope"] is None  # one surface energy is left

    assert [record["miller_index"] for record in metrics["by_miller"]] == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    facet_100 = metrics["by_miller"][0]
    assert (facet_100["n_bulks"], facet_100["n_slabs"], facet_100["n_failed"]) == (2, 2, 1)
    assert facet_100["bulk_energy_mae_ev_per_atom"] == pytest.approx(0.05)
    assert facet_100["surface_energy_bias_j_m2"] == pytest.approx(-0.2)

    assert [record["lattice"] for record in metrics["by_lattice"]] == ["fcc", "bcc", "other"]
    other = metrics["by_lattice"][2]
    assert (other["n_bulks"], other["n_slabs"], other["n_failed"], other["n_bulks_failed"]) == (1, 1, 1, 1)
    assert other["surface_energy_rmse_j_m2"] is None
    assert other["slab_energy_rmse_ev_per_atom"] == pytest.approx(1.0)


def test_settings_and_required_keys():
    metrics = compute_metrics(synthetic(), n_resamples=50, seed=4)
    assert metrics["settings"] == {
        "seed": 4,
        "n_resamples": 50,
        "confidence": 0.95,
        "min_bulks": 5,
        "algorithm_version": 1,
    }
    names = {"n_bulks", "n_slabs", "n_failed", "n_bulks_failed", "slab_energy_derived", "n_slab_energy_derived"}
    names |= {"surface_energy_slope", "surface_energy_slope_ci95"}
    for quantity, unit in (("bulk_energy", "ev_per_atom"), ("slab_energy", "ev_per_atom"), ("surface_energy", "j_m2")):
        names |= {f"n_{quantity}", f"{quantity}_r2"}
        for statistic in ("rmse", "mae", "bias"):
            names |= {f"{quantity}_{statistic}_{unit}", f"{quantity}_{statistic}_ci95_{unit}"}
    assert set(metrics["overall"]) == names
    assert set(metrics["by_miller"][0]) == names | {"miller_index"}


def test_intervals_are_those_of_the_cluster_bootstrap():
    rows = synthetic()
    overall = compute_metrics(rows, n_resamples=100, seed=2)["overall"]
    slabs = [row for row in rows if row["role"] == "slab"]
    reference = np.array([row["surface_energy_dft_j_m2"] for row in slabs])
    predicted = np.array([row["surface_energy_ml_j_m2"] for row in slabs])
    expected = bootstrap.cluster_intervals([row["bulk_id"] for row in slabs], reference, predicted, 100, 2)
    assert overall["surface_energy_rmse_ci95_j_m2"] == pytest.approx(expected["rmse"])
    assert overall["surface_energy_mae_ci95_j_m2"] == pytest.approx(expected["mae"])
    assert overall["surface_energy_bias_ci95_j_m2"] == pytest.approx(expected["bias"])
    assert overall["surface_energy_slope_ci95"] == pytest.approx(expected["slope"])
    for name, value in (("surface_energy", "j_m2"), ("bulk_energy", "ev_per_atom"), ("slab_energy", "ev_per_atom")):
        low, high = overall[f"{name}_rmse_ci95_{value}"]
        assert low < overall[f"{name}_rmse_{value}"] < high


def test_intervals_need_five_bulks_with_a_value():
    structures = [bulk(f"b{i}", "Cu", -4.0, -4.1 + 0.01 * i) for i in range(5)]
    structures += [slab(f"s{i}", f"b{i}", "Cu", [1, 0, 0], (1.0, -15.0 if i else None)) for i in range(5)]
    overall = compute_metrics(results(*structures), n_resamples=20)["overall"]
    assert overall["bulk_energy_rmse_ci95_ev_per_atom"] is not None  # five bulks
    assert overall["surface_energy_rmse_ci95_j_m2"] is None  # the slabs of four


def test_order_does_not_matter_to_the_last_bit():
    rows = synthetic()
    expected = compute_metrics(rows, n_resamples=100)
    for seed in range(5):
        rows = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
        assert compute_metrics(rows, n_resamples=100) == expected


def test_the_seed_decides():
    rows = synthetic()
    first, second = compute_metrics(rows, 100, seed=0)["overall"], compute_metrics(rows, 100, seed=1)["overall"]
    assert first["surface_energy_rmse_j_m2"] == second["surface_energy_rmse_j_m2"]
    assert first["surface_energy_rmse_ci95_j_m2"] != second["surface_energy_rmse_ci95_j_m2"]


def test_nothing_predicted():
    rows = compute_surface_energies([row for row, _ in SMALL], {})
    metrics = compute_metrics(rows)
    overall = metrics["overall"]
    assert (overall["n_slabs"], overall["n_failed"], overall["n_bulks"], overall["n_bulks_failed"]) == (5, 5, 3, 3)
    assert overall["surface_energy_rmse_j_m2"] is None
    assert overall["slab_energy_derived"] is True  # a matter of the references, not of the predictions
    json.dumps(metrics, allow_nan=False)


def test_no_rows():
    metrics = compute_metrics([])
    assert metrics["overall"]["n_slabs"] == 0
    assert (metrics["by_element"], metrics["by_miller"], metrics["by_lattice"]) == ([], [], [])
    json.dumps(metrics, allow_nan=False)


def test_a_set_without_references_has_counts_and_no_statistics():
    rows = [{**row, "dft_energy": None, "dft_surface_energy": None} for row, _ in SMALL]
    overall = compute_metrics(compute_surface_energies(rows, dict(energy for _, energy in SMALL)))["overall"]
    assert (overall["n_slabs"], overall["n_failed"], overall["n_surface_energy"]) == (5, 2, 0)
    assert overall["slab_energy_derived"] is False
    assert {value for key, value in overall.items() if not key.startswith(("n_", "slab_energy_derived"))} == {None}


def test_another_composition_counts_as_failed_under_its_own_element():
    structures = [*SMALL, slab("CuO-100", "Cu-1", "CuO", [1, 0, 0], (1.0, -15.0))]
    metrics = compute_metrics(results(*structures))
    assert (metrics["overall"]["n_slabs"], metrics["overall"]["n_failed"]) == (6, 3)
    oxide = metrics["by_element"][1]
    assert (oxide["element"], oxide["n_bulks"], oxide["n_slabs"], oxide["n_failed"]) == ("CuO", 0, 1, 1)


def test_structures_without_a_label_are_in_no_group_of_it():
    structures = [bulk("b", "Cu", -4.0, -4.1), slab("s", "b", "Cu", None, (1.0, -15.0))]
    metrics = compute_metrics(results(*structures))
    assert (metrics["by_miller"], metrics["by_lattice"]) == ([], [])
    assert metrics["overall"]["n_slabs"] == metrics["by_element"][0]["n_slabs"] == 1


def test_facets_are_sorted_low_indices_first():
    indices = [[2, 1, 0], [1, 1, 1], [0, 0, 1], [1, 1, 0], [1, 0, 0], [1, -1, 0]]
    structures = [slab(f"s{i}", "b", "Cu", miller, (1.0, -15.0)) for i, miller in enumerate(indices)]
    metrics = compute_metrics(results(bulk("b", "Cu", -4.0, -4.1), *structures))
    found = [record["miller_index"] for record in metrics["by_miller"]]
    assert found == [[1, 0, 0], [0, 0, 1], [1, 1, 0], [1, -1, 0], [1, 1, 1], [2, 1, 0]]


def test_ids_keep_slabs_and_their_bulks():
    rows = results(*SMALL)
    masked = compute_metrics(rows, ids=["Cu-111", "Mo-110"])
    kept = [row for row in rows if row["structure_id"] in ("Cu-1", "Mo-1", "Cu-111", "Mo-110")]
    assert masked == compute_metrics(kept)
    assert (masked["overall"]["n_bulks"], masked["overall"]["n_slabs"]) == (2, 2)


def test_a_bulk_that_is_named_is_kept_without_slabs():
    overall = compute_metrics(results(*SMALL), ids={"Cu-111", "Mo-1"})["overall"]
    assert (overall["n_bulks"], overall["n_slabs"]) == (2, 1)


def test_no_ids_keep_nothing():
    overall = compute_metrics(results(*SMALL), ids=[])["overall"]
    assert (overall["n_bulks"], overall["n_slabs"]) == (0, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": ["nowhere"]}, "not in the rows: nowhere"),
        ({"n_resamples": 0}, "n_resamples"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        compute_metrics(results(*SMALL), **change)


def test_bad_rows_are_refused():
    rows = results(*SMALL)
    with pytest.raises(ValueError, match="stands twice"):
        compute_metrics([*rows, rows[0]])
    with pytest.raises(ValueError, match="bulk is not in the rows: Cu-111"):
        compute_metrics(rows[1:])


def test_common_ids():
    first = results(*SMALL)  # without a surface energy: Mo-100, Mo-111
    second = [{**row, "status": "failed"} if row["structure_id"] == "Cu-100" else row for row in first]
    assert common_ids([first]) == ["Cu-100", "Cu-111", "Mo-110"]
    assert common_ids([first, second]) == ["Cu-111", "Mo-110"]
    assert common_ids([first, second[:-3]]) == ["Cu-111"]
    with pytest.raises(ValueError, match="at least one"):
        common_ids([])


def test_eight_thousand_slabs_take_seconds_at_most():
    """About 0.5 s on one idle core; the bound only tells vectorised from not (minutes)."""
    rows = synthetic(n_bulks=700, slabs_per_bulk=12)
    start = time.perf_counter()
    compute_metrics(rows)
    assert time.perf_counter() - start < 10.0
