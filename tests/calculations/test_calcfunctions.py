"""The calcfunctions: what they compute, what they refuse, and what stands in the provenance."""

from __future__ import annotations

import pytest
from aiida.orm import Dict, Int
from aiida.plugins import CalculationFactory

from aiida_surfbench.data.selection import make_selection, read_selection
from aiida_surfbench.data.surface_energies import SurfaceEnergiesData

select_structures = CalculationFactory("surfbench.select_structures")
select_common_structures = CalculationFactory("surfbench.select_common_structures")
compute_metrics = CalculationFactory("surfbench.compute_metrics")
compute_surface_energies = CalculationFactory("surfbench.compute_surface_energies")

J_PER_M2 = 16.02176634


def test_surface_energies_follow_eq_1(dataset, predicted, emt, emt_energy):
    node = compute_surface_energies(dataset, predicted.outputs.predictions, emt, Int(1))
    assert node.potential == "emt"
    rows = {row["structure_id"]: row for row in node.rows()}
    assert list(rows) == dataset.ids
    bulk, slab = dataset.get_ase("Cu-bulk"), dataset.get_ase("Cu-111")
    area = next(row["area_a2"] for row in dataset.rows() if row["structure_id"] == "Cu-111")
    gamma = (emt_energy(slab) - len(slab) * emt_energy(bulk) / len(bulk)) / (2 * area) * J_PER_M2
    assert rows["Cu-111"]["surface_energy_ml_j_m2"] == pytest.approx(gamma, abs=1e-9)
    assert rows["Cu-111"]["error_j_m2"] == pytest.approx(gamma - slab.info["dft_surface_energy"], abs=1e-9)
    assert rows["Cu-111"]["slab_energy_derived"] is True
    assert rows["Cu-100"]["slab_energy_derived"] is False
    assert rows["Cu-111"]["lattice"] == rows["Cu-bulk"]["lattice"] == "fcc"
    assert node.creator.process_label == "compute_surface_energies"


def test_selection_of_elements_brings_the_bulks(dataset):
    selection = select_structures(dataset, Dict({"elements": ["Au", "Cu"]}))
    assert read_selection(selection) == ["Au-bulk", "Au-111", "Au-100", "Cu-bulk", "Cu-111", "Cu-100"]
    assert selection.base.attributes.get("n_structures") == 6
    inputs = selection.creator.inputs
    assert inputs.structures.uuid == dataset.uuid
    assert inputs.criteria.get_dict() == {"elements": ["Au", "Cu"]}


@pytest.mark.parametrize(
    ("criteria", "words"),
    [
        ({"elements": ["Xe"]}, "no structure of Xe"),
        ({"elements": []}, "no slab fulfils"),
        ({"colour": "red"}, "unknown criteria colour"),
        ({}, "elements is missing"),
    ],
)
def test_bad_criteria_are_refused(dataset, criteria, words):
    with pytest.raises(ValueError, match=words):
        select_structures(dataset, Dict(criteria))


def test_metrics_on_a_selection(evaluated):
    surface_energies = evaluated.outputs.surface_energies
    settings = Dict({"n_resamples": 50, "seed": 3})
    whole = compute_metrics(surface_energies, settings).get_dict()
    part = compute_metrics(surface_energies, settings, make_selection(["Cu-111"])).get_dict()
    assert (whole["overall"]["n_slabs"], part["overall"]["n_slabs"]) == (12, 1)
    assert part["overall"]["n_bulks"] == 1
    row = next(row for row in surface_energies.rows() if row["structure_id"] == "Cu-111")
    assert part["overall"]["surface_energy_rmse_j_m2"] == pytest.approx(abs(row["error_j_m2"]), abs=1e-12)
    assert part["overall"]["surface_energy_rmse_ci95_j_m2"] is None
    assert (whole["settings"]["n_resamples"], whole["settings"]["seed"]) == (50, 3)
    assert whole["potential"] == "emt"


def test_metrics_of_another_version_are_refused(evaluated):
    with pytest.raises(ValueError, match="algorithm version 99 asked for, 1 is installed"):
        compute_metrics(evaluated.outputs.surface_energies, Dict({"algorithm_version": 99}))


def slab(structure_id, status="ok"):
    return {"structure_id": structure_id, "role": "slab", "bulk_id": "b", "status": status}


def test_common_structures_are_those_all_have(aiida_profile):
    one = SurfaceEnergiesData([slab("a"), slab("b"), slab("c", "failed")], potential="one")
    two = SurfaceEnergiesData([slab("c"), slab("b"), slab("a", "failed")], potential="two")
    assert read_selection(select_common_structures(one=one, two=two)) == ["b"]
    three = SurfaceEnergiesData([slab("b", "failed")], potential="three")
    with pytest.raises(ValueError, match="no slab for which all"):
        select_common_structures(one=one, two=two, three=three)
