"""SurfaceEnergyWorkChain on real potentials: numbers, provenance, environments, refusals."""

from __future__ import annotations

from collections import Counter

import ase.build
import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import Dict, Node, QueryBuilder
from aiida.plugins import WorkflowFactory

from aiida_surfbench.data.potential import PotentialData
from aiida_surfbench.data.selection import make_selection
from aiida_surfbench.data.structure_set import SurfaceSetData

J_PER_M2 = 16.02176634


@pytest.fixture
def builder(code, dataset, emt):
    """Return a complete builder that only lacks what a test changes."""
    made = WorkflowFactory("surfbench.surface_energy").get_builder()
    made.code, made.structures, made.potential = code, dataset, emt
    return made


@pytest.fixture(scope="module")
def few(aiida_profile, metal_records):
    """Return a stored set of one metal."""
    return SurfaceSetData(metal_records(("Ni",), shift=0.5)).store()


def submit_with(builder, name, value):
    """Set an input, which may be refused there and then, and run."""
    setattr(builder, name, value)
    run_get_node(builder)


def test_outputs(evaluated, dataset):
    outputs = evaluated.outputs
    assert set(outputs) == {"predictions", "surface_energies", "metrics"}
    assert outputs.predictions.n_ok == 18
    overall = outputs.metrics["overall"]
    assert (overall["n_bulks"], overall["n_slabs"], overall["n_failed"]) == (6, 12, 0)
    # The bulks' references are EMT's plus 0.01, 0.02, … 0.06 eV/atom
    errors = -0.01 * np.arange(1, 7)
    assert overall["bulk_energy_rmse_ev_per_atom"] == pytest.approx(np.sqrt(np.mean(errors**2)), abs=1e-10)
    assert overall["bulk_energy_bias_ev_per_atom"] == pytest.approx(errors.mean(), abs=1e-10)
    # The energies of the (100) slabs are EMT's plus 0.1 eV and the same per atom
    rows = [row for row in outputs.surface_energies.rows() if row["miller_index"] == [1, 0, 0]]
    expected = {row["element"]: -0.01 * (number + 1) - 0.1 / 4 for number, row in enumerate(rows)}
    assert {row["element"]: row["slab_energy_error_ev_per_atom"] for row in rows} == pytest.approx(expected, abs=1e-10)
    gammas = [row["error_j_m2"] for row in outputs.surface_energies.rows() if row["role"] == "slab"]
    assert overall["surface_energy_rmse_j_m2"] == pytest.approx(np.sqrt(np.mean(np.square(gammas))), abs=1e-10)
    low, high = overall["surface_energy_rmse_ci95_j_m2"]
    assert low < overall["surface_energy_rmse_j_m2"] < high
    metrics = outputs.metrics.get_dict()
    assert [row["element"] for row in metrics["by_element"]] == dataset.elements
    assert [row["miller_index"] for row in metrics["by_miller"]] == [[1, 0, 0], [1, 1, 1]]
    assert [row["lattice"] for row in metrics["by_lattice"]] == ["fcc"]


def test_slab_energy_error_is_the_bulk_error_and_the_surface_energy_error(benchmarked, dataset):
    """A derived slab energy's error is exactly the bulk error plus the surface-energy error · 2A/n."""
    rows_of_set = {row["structure_id"]: row for row in dataset.rows()}
    checked = 0
    for outputs in benchmarked.outputs.results.values():
        for row in outputs["surface_energies"].rows():
            if row["slab_energy_derived"]:
                area, n_atoms = rows_of_set[row["structure_id"]]["area_a2"], row["n_atoms"]
                bulk_error = row["bulk_energy_ml_ev_per_atom"] - row["bulk_energy_dft_ev_per_atom"]
                expected = bulk_error + row["error_j_m2"] / J_PER_M2 * 2 * area / n_atoms
                assert row["slab_energy_error_ev_per_atom"] == pytest.approx(expected, abs=1e-11)
                assert abs(row["error_j_m2"]) > 0.01
                checked += 1
    assert checked == 12


def test_every_number_is_traceable(evaluated, dataset, emt, code, described):
    metrics = evaluated.outputs.metrics
    calculation = metrics.creator
    assert calculation.process_type == "aiida.calculations:surfbench.compute_metrics"
    assert calculation.inputs.surface_energies.uuid == evaluated.outputs.surface_energies.uuid
    assert calculation.inputs.settings.get_dict() == {"n_resamples": 1000, "seed": 0, "algorithm_version": 1}
    before = evaluated.outputs.surface_energies.creator
    assert before.process_type == "aiida.calculations:surfbench.compute_surface_energies"
    assert before.inputs.structures.uuid == dataset.uuid
    assert before.inputs.potential.uuid == emt.uuid
    assert before.inputs.algorithm_version.value == 1
    assert before.inputs.predictions.uuid == evaluated.outputs.predictions.uuid
    job = evaluated.outputs.predictions.creator
    assert job.process_type == "aiida.calculations:surfbench.predict"
    assert (job.inputs.structures.uuid, job.inputs.potential.uuid) == (dataset.uuid, emt.uuid)
    assert job.inputs.code.uuid == code.uuid
    assert job.inputs.environment.uuid == described.outputs.environment.uuid
    assert job.inputs.runner.filename == "runner.pyz"
    assert job.inputs.options.get_dict()["properties"] == ["energy"]
    assert [child.process_label for child in evaluated.called] == [
        "PredictCalculation", "compute_surface_energies", "compute_metrics",
    ]  # fmt: skip


def test_metrics_are_found_by_their_value(evaluated):
    rmse = evaluated.outputs.metrics["overall"]["surface_energy_rmse_j_m2"]

    def found(condition):
        filters = {"attributes.overall.surface_energy_rmse_j_m2": condition, "uuid": evaluated.outputs.metrics.uuid}
        return QueryBuilder().append(Dict, filters=filters).count()

    assert found({"<": rmse + 0.001}) == 1
    assert found({"<": rmse - 0.001}) == 0
    assert found({">": rmse - 0.001}) == 1


def test_slab_that_is_not_of_its_bulks_composition_fails_with_a_reason(run, builder, make_record, described):
    bulk = ase.build.bulk("Cu", cubic=True)
    bulk.symbols[[2, 3]] = "Au"
    slab = bulk.copy()
    slab.center(vacuum=6.0, axis=2)
    missing = slab[[0, 2, 3]]
    columns = {"role": "slab", "bulk_id": "alloy", "miller_index": [0, 0, 1], "dft_surface_energy": 1.0}
    builder.structures = SurfaceSetData(
        [
            make_record(bulk, "alloy", role="bulk", dft_energy=-12.0),
            make_record(slab, "whole", **columns),
            make_record(missing, "missing", **columns),
        ]
    )
    node = run(builder)
    assert node.is_finished_ok, node.exit_message
    rows = {row["structure_id"]: row for row in node.outputs.surface_energies.rows()}
    assert rows["whole"]["status"] == "ok"
    assert rows["missing"]["status"] == "failed"
    assert "composition" in rows["missing"]["reason"]
    assert "Eq. 1 does not apply" in rows["missing"]["reason"]
    assert rows["missing"]["surface_energy_ml_j_m2"] is None
    assert node.outputs.predictions.n_failed == 0
    overall = node.outputs.metrics["overall"]
    assert (overall["n_slabs"], overall["n_failed"], overall["n_surface_energy"]) == (2, 1, 1)
    assert {row["element"] for row in node.outputs.metrics["by_element"]} == {
        rows["whole"]["element"], rows["missing"]["element"],
    }  # fmt: skip


def test_family_that_is_not_installed(run, builder, light_code, few, tmp_path):
    (tmp_path / "x.pth.tar").write_bytes(b"weights")
    potential = PotentialData("chgnet", "no-chgnet-there", files={"model.pth.tar": tmp_path / "x.pth.tar"})
    builder.code, builder.structures, builder.potential = light_code, few, potential
    node = run(builder)
    assert node.exit_status == 403
    assert "cannot run the family chgnet" in node.exit_message
    assert "light@localhost" in node.exit_message
    assert "no package chgnet" in node.exit_message
    assert [child.process_label for child in node.called] == ["DescribeCalculation"]
    again = WorkflowFactory("surfbench.surface_energy").get_builder()
    again.code, again.structures, again.potential = light_code, few, node.inputs.potential
    node = run(again)  # a description that lacks the family may be out of date: it is made again
    assert node.exit_status == 403
    assert [child.process_label for child in node.called] == ["DescribeCalculation"]


def test_environment_that_changed_is_described_again(run, builder, light_python, make_python_code, few, tmp_path):
    script = light_python(tmp_path / "python", old=True)
    code = make_python_code("changing", str(script))
    builder.code, builder.structures = code, few
    first = run(builder)
    assert first.is_finished_ok, first.exit_message
    assert [child.process_label for child in first.called][:2] == ["DescribeCalculation", "PredictCalculation"]
    environment = first.called[0].outputs.environment
    assert environment["packages"]["scipy"] == "0.1"

    light_python(script, old=False)
    second = WorkflowFactory("surfbench.surface_energy").get_builder()
    second.code, second.structures, second.potential = code, few, first.inputs.potential
    node = run(second)
    assert node.is_finished_ok, node.exit_message
    assert Counter(child.process_label for child in node.called) == {
        "PredictCalculation": 2, "DescribeCalculation": 1, "compute_surface_energies": 1, "compute_metrics": 1,
    }  # fmt: skip
    stale, fresh = sorted(
        (child for child in node.called if child.process_label == "PredictCalculation"), key=lambda job: job.pk
    )
    assert stale.exit_status == 411
    assert "scipy was 0.1" in stale.exit_message
    assert stale.inputs.environment.uuid == environment.uuid
    assert fresh.inputs.environment["packages"]["scipy"] != "0.1"
    assert node.outputs.predictions.uuid == fresh.outputs.predictions.uuid

    third = WorkflowFactory("surfbench.surface_energy").get_builder()
    third.code, third.structures, third.potential = code, few, first.inputs.potential
    third.environment = environment  # given by the user: then it is a condition, and stays one
    node = run(third)
    assert node.exit_status == 402
    assert "ended with 411" in node.exit_message
    assert [child.process_label for child in node.called] == ["PredictCalculation"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("metrics_settings", {"n_resamples": 0}, "n_resamples must be a whole number of at least 1"),
        ("metrics_settings", {"seed": -1}, "seed must be a whole number of at least 0"),
        ("metrics_settings", {"seed": 1.5}, "seed must be a whole number"),
        ("metrics_settings", {"confidence": 0.9}, "unknown keys confidence"),
        ("metrics_settings", {"algorithm_version": 2}, "algorithm_version is 2"),
        ("options", {"geometry": "relax_ions"}, "not available"),
        ("execution", {"workers": 4}, "not available"),
        ("job_options", {"walltime": 60}, "unknown keys walltime"),
        ("job_options", {"max_wallclock_seconds": "long"}, "job_options.max_wallclock_seconds"),
    ],
)
def test_bad_settings_are_refused_at_submission(builder, name, value, words):
    count = QueryBuilder().append(Node).count()
    with pytest.raises(ValueError, match=name) as refusal:
        submit_with(builder, name, value if name == "job_options" else Dict(value))
    assert words in str(refusal.value)
    assert QueryBuilder().append(Node).count() == count


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (["Cu-111"], "slab 'Cu-111' without its bulk 'Cu-bulk'"),
        (["Cu-bulk"], "names no slab"),
        (["Cu-bulk", "Cu-999"], "'Cu-999' is no structure_id"),
        ([], "names no structure"),
    ],
)
def test_selection_that_cannot_give_surface_energies_is_refused(builder, ids, words):
    builder.selection = make_selection(ids)
    with pytest.raises(ValueError, match="selection") as refusal:
        run_get_node(builder)
    assert words in str(refusal.value)


@pytest.mark.usefixtures("described")
def test_real_slabs_with_a_real_universal_potential(run, code, mp_slabs, m3gnet_weights, chgnet_installed):
    """CHGNet and M3GNet on the Al slabs of the Materials Project: errors of the size the field knows."""
    from aiida_surfbench.formats.extxyz import read_structures
    from aiida_surfbench.ingestion import install_known_potential

    records = [record for record in read_structures(mp_slabs) if record.element == "Al"]
    dataset = SurfaceSetData(records).store()
    chgnet = install_known_potential("chgnet-0.3.0", label="chgnet-real")
    m3gnet = install_known_potential("m3gnet-mp-2021.2.8", [m3gnet_weights], label="m3gnet-real")
    for potential in (chgnet, m3gnet):
        builder = WorkflowFactory("surfbench.surface_energy").get_builder()
        builder.code, builder.structures, builder.potential = code, dataset, potential
        node = run(builder)
        assert node.is_finished_ok, node.exit_message
        overall = node.outputs.metrics["overall"]
        assert (overall["n_slabs"], overall["n_bulks"], overall["n_failed"]) == (13, 1, 0)
        assert 0.05 < overall["surface_energy_rmse_j_m2"] < 1.5
        assert overall["surface_energy_bias_j_m2"] < 0  # universal potentials are too soft
        assert overall["bulk_energy_rmse_ev_per_atom"] < 0.1
