"""PredictCalculation on real potentials: numbers, single failures, refusals, and the failures of whole jobs."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
from aiida.engine import run_get_node
from aiida.orm import Dict, Node, ProcessNode, QueryBuilder, SinglefileData
from aiida.plugins import CalculationFactory
from ase import Atoms
from ase.calculators.emt import EMT

from aiida_surfbench.calculations.runner_job import get_runner
from aiida_surfbench.data.potential import PotentialData
from aiida_surfbench.data.selection import make_selection
from aiida_surfbench.data.structure_set import StructureSetData, SurfaceSetData


@pytest.fixture
def builder(code, dataset, emt):
    """Return a complete builder that only lacks what a test changes."""
    made = CalculationFactory("surfbench.predict").get_builder()
    made.code, made.structures, made.potential = code, dataset, emt
    return made


@pytest.fixture(scope="module")
def alone(make_record):
    """Return a stored set of a single copper cell."""
    atoms = Atoms("Cu", cell=np.eye(3) * 2.6, pbc=True)
    return StructureSetData([make_record(atoms, "Cu-simple")]).store()


def submit_with(builder, **inputs):
    """Set inputs, some of which are refused there and then, and run."""
    for name, value in inputs.items():
        setattr(builder, name, Dict(value))
    run_get_node(builder)


def test_energies_forces_and_stresses_are_those_of_the_calculator(predicted, dataset):
    assert predicted.is_finished_ok, predicted.exit_message
    predictions = predicted.outputs.predictions
    forces, stresses = predictions.get_arrays("forces"), predictions.get_arrays("stress")
    assert [row["structure_id"] for row in predictions.rows()] == dataset.ids
    largest = 0.0
    for row in predictions.rows():
        atoms = dataset.get_ase(row["structure_id"])
        atoms.calc = EMT()
        assert row["status"] == "ok"
        assert row["n_atoms"] == len(atoms)
        assert row["energy"] == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
        assert forces[row["structure_id"]] == pytest.approx(atoms.get_forces(), abs=1e-10)
        assert stresses[row["structure_id"]] == pytest.approx(atoms.get_stress(), abs=1e-10)
        largest = max(largest, np.abs(atoms.get_forces()).max())
    assert largest > 0.01  # the slabs are rattled: zeros would prove nothing
    attributes = predictions.base.attributes.all
    assert attributes["properties"] == ["energy", "forces", "stress"]
    assert attributes["algorithm_version"] == 1
    assert attributes["device"] == "cpu"
    assert attributes["timings"]["total_s"] > 0


def test_structures_are_not_stored_a_second_time(predicted, dataset):
    files = predicted.base.repository.list_object_names()
    assert "structures.extxyz" not in files
    assert "job.json" in files


def test_runner_is_stored_once_and_found_again(predicted, evaluated):
    again = get_runner()
    assert again.is_stored
    content = again.get_content(mode="rb")
    assert again.base.attributes.get("sha256") == hashlib.sha256(content).hexdigest()
    runners = QueryBuilder().append(SinglefileData, filters={"attributes.filename": "runner.pyz"}).all(flat=True)
    assert [node.uuid for node in runners] == [again.uuid]
    assert predicted.inputs.runner.uuid == again.uuid


def test_one_bad_structure_among_many_fails_alone(predict, broken_records, emt, emt_energy):
    dataset = SurfaceSetData(broken_records).store()
    node = predict(dataset, emt)
    assert node.is_finished_ok, node.exit_message
    predictions = node.outputs.predictions
    assert (predictions.n_ok, predictions.n_failed) == (len(broken_records) - 1, 1)
    results = predictions.results()
    failed = results.pop("Cu-111")
    assert failed["status"] == "failed"
    assert failed["energy"] is None
    assert "Å apart" in failed["reason"]
    for structure_id, row in results.items():
        assert row["energy"] == pytest.approx(emt_energy(dataset.get_ase(structure_id)), abs=1e-10)


def test_element_the_potential_does_not_know_fails_with_a_reason(predict, dataset, emt, lennard_jones, make_record):
    """EMT raises for iron itself; Lennard-Jones would answer, but its list of elements lacks iron."""
    iron = Atoms("Fe2", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=np.eye(3) * 2.87, pbc=True)
    copper = dataset.get_ase("Cu-bulk")
    structures = StructureSetData([make_record(iron, "iron"), make_record(copper, "copper")]).store()
    for potential in (emt, lennard_jones):
        node = predict(structures, potential)
        assert node.is_finished_ok, node.exit_message
        results = node.outputs.predictions.results()
        assert results["iron"]["status"] == "failed"
        assert "Fe" in results["iron"]["reason"]
        assert results["copper"]["status"] == "ok"


def test_no_usable_structure_is_an_exit_code(predict, make_record, emt):
    isolated = make_record(Atoms("Cu", positions=[[9, 9, 9]], cell=np.eye(3) * 18), "isolated")
    close = make_record(Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 0.01]], cell=np.eye(3) * 3), "close")
    node = predict(StructureSetData([isolated, close]).store(), emt)
    assert node.exit_status == 501
    assert "None of the 2 structures" in node.exit_message
    assert "no neighbour" in node.exit_message
    assert node.outputs.predictions.n_failed == 2


def test_selection_predicts_only_what_it_names(predict, dataset, emt):
    node = predict(dataset, emt, selection=make_selection(["Au-100", "Ag-bulk"]).store())
    assert node.is_finished_ok, node.exit_message
    assert [row["structure_id"] for row in node.outputs.predictions.rows()] == ["Au-100", "Ag-bulk"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"properties": ["energy", "node_features"]}, "'node_features' is part of the contract but not available"),
        ({"geometry": "relax_ions"}, "'relax_ions' is part of the contract but not available"),
        ({"geometry": "relax_cell"}, "'relax_cell' is part of the contract but not available"),
        ({"geometry": "sideways"}, "'sideways' is unknown"),
        ({"properties": ["energy", "charges"]}, "'charges' is unknown"),
        ({"properties": ["forces"]}, "must contain 'energy'"),
        ({"properties": []}, "must be a list"),
        ({"dtype": "float16"}, "'float16' is unknown"),
        ({"precision": "high"}, "unknown keys precision"),
    ],
)
def test_options_that_cannot_be_met_are_refused_at_submission(builder, options, words):
    with pytest.raises(ValueError, match="options") as refusal:
        submit_with(builder, options=options)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("execution", "words"),
    [
        ({"workers": 2}, "workers above 1 is part of the contract but not available"),
        ({"max_seconds": 60}, "max_seconds is part of the contract but not available"),
        ({"device": "abacus"}, "'abacus' is unknown"),
        ({"batch_atoms": 0}, "batch_atoms must be a whole number of at least 1"),
        ({"threads": 4}, "unknown keys threads"),
    ],
)
def test_execution_that_cannot_be_met_is_refused_at_submission(builder, execution, words):
    with pytest.raises(ValueError, match="execution") as refusal:
        submit_with(builder, execution=execution)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (["Cu-bulk", "Xx-1"], "'Xx-1' is no structure_id of the structure set"),
        ([], "names no structure"),
        (["Cu-bulk", "Au-100", "Cu-bulk"], "'Cu-bulk' is named twice"),
    ],
)
def test_bad_selection_is_refused_at_submission(builder, ids, words):
    count = QueryBuilder().append(ProcessNode).count()
    builder.selection = make_selection(ids)
    with pytest.raises(ValueError, match="selection") as refusal:
        run_get_node(builder)
    assert words in str(refusal.value)
    assert QueryBuilder().append(ProcessNode).count() == count


def test_altered_weights_are_not_used(predict, alone, tmp_path):
    weights = tmp_path / "model.pth.tar"
    weights.write_bytes(b"not what was recorded")
    recorded = hashlib.sha256(b"what was recorded").hexdigest()
    references = {"model.pth.tar": {"path": str(weights), "sha256": recorded}}
    node = predict(alone, PotentialData("chgnet", "altered", references=references).store())
    assert node.exit_status == 421
    assert recorded in node.exit_message
    assert hashlib.sha256(weights.read_bytes()).hexdigest() in node.exit_message
    assert "changed or replaced" in node.exit_message
    assert "predictions" not in node.outputs


def test_missing_weights_are_said_to_be_missing(predict, alone, tmp_path):
    references = {"model.pth.tar": {"path": str(tmp_path / "gone.pth.tar")}}
    node = predict(alone, PotentialData("chgnet", "missing", references=references).store())
    assert node.exit_status == 420
    assert "gone.pth.tar" in node.exit_message
    assert "not readable" in node.exit_message


@pytest.mark.usefixtures("chgnet_installed")
def test_pickle_that_is_no_model(predict, alone, tmp_path):
    weights = tmp_path / "numbers.pth.tar"
    weights.write_bytes(pickle.dumps({"numbers": [1, 2, 3]}, protocol=2))
    node = predict(alone, PotentialData("chgnet", "pickle", files={"model.pth.tar": weights}).store())
    assert node.exit_status == 423, node.exit_message
    assert "model.pth.tar" in node.exit_message


@pytest.mark.usefixtures("chgnet_installed")
def test_pickle_that_runs_code_does_not_run(predict, alone, tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    weights = tmp_path / "payload.pth.tar"
    weights.write_bytes(pickle.dumps(Payload(), protocol=2))
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    node = predict(alone, PotentialData("chgnet", "payload", files={"model.pth.tar": weights}).store())
    assert node.exit_status == 422, node.exit_message
    assert f"--trust {digest}" in node.exit_message
    assert not (tmp_path / "written").exists()


def test_changed_environment_stops_the_job(predict, alone, emt, described):
    environment = described.outputs.environment.get_dict()
    environment["packages"]["ase"] = "3.0.0"
    node = predict(alone, emt, environment=environment)
    assert node.exit_status == 411
    assert "ase was 3.0.0" in node.exit_message
    assert "Describe the code again" in node.exit_message


def test_unchanged_environment_does_not(predict, alone, emt, described):
    node = predict(alone, emt, environment=described.outputs.environment)
    assert node.is_finished_ok, node.exit_message


def test_bare_python_is_one_clear_sentence(predict, alone, emt, make_python_code, tmp_path_factory):
    """A Python without numpy and ase cannot even read the structures: the user is told what it lacks."""
    import venv

    folder = tmp_path_factory.mktemp("bare") / "env"
    venv.create(folder, with_pip=False)
    node = predict(alone, emt, code=make_python_code("bare-python", str(folder / "bin" / "python")))
    assert node.exit_status == 410, node.exit_message
    assert "numpy" in node.exit_message
    assert str(folder) in node.exit_message  # which Python it was
    assert "\n" not in node.exit_message


def test_no_python_at_all_mentions_the_last_line_of_stderr(predict, alone, emt, make_python_code, tmp_path):
    script = tmp_path / "no-python"
    script.write_text("#!/bin/sh\necho first >&2\necho 'this is no python' >&2\nexit 3\n")
    script.chmod(0o755)
    node = predict(alone, emt, code=make_python_code("no-python", str(script)))
    assert node.exit_status == 310
    assert "this is no python" in node.exit_message
    assert "first" not in node.exit_message
    assert "runner.err" in node.exit_message


def test_number_of_nodes_does_not_depend_on_the_number_of_structures(predict, alone, dataset, emt, predicted):
    def nodes_made(structures):
        before = QueryBuilder().append(Node).count()
        node = predict(structures, emt)
        assert node.is_finished_ok, node.exit_message
        return QueryBuilder().append(Node).count() - before

    assert nodes_made(alone) == nodes_made(dataset) > 3


@pytest.mark.usefixtures("chgnet_installed")
def test_chgnet_from_its_package_agrees_with_its_own_calculator(predict, dataset, localhost):
    from chgnet.model.dynamics import CHGNetCalculator
    from chgnet.model.model import CHGNet

    from aiida_surfbench.ingestion import install_known_potential

    potential = install_known_potential("chgnet-0.3.0", label="chgnet-direct")
    assert potential.storage == "embedded"
    node = predict(dataset, potential, selection=make_selection(["Cu-bulk", "Cu-111", "Au-100"]).store())
    assert node.is_finished_ok, node.exit_message
    calculator = CHGNetCalculator(CHGNet.load(model_name="0.3.0", verbose=False), use_device="cpu")
    for row in node.outputs.predictions.rows():
        atoms = dataset.get_ase(row["structure_id"])
        atoms.calc = calculator
        assert row["energy"] / len(atoms) == pytest.approx(atoms.get_potential_energy() / len(atoms), abs=2e-5)
    weights = node.outputs.predictions.base.attributes.get("weights")
    manifest = potential.base.attributes.get("manifest")
    assert weights == {name: entry["sha256"] for name, entry in manifest.items()}


def test_potential_with_a_file_reads_its_copy(predict, alone, tmp_path):
    """The family ase hands embedded files to the factory by name."""
    from aiida_surfbench.ingestion import install_potential

    (tmp_path / "note.txt").write_text("hello")
    potential = install_potential(
        "ase",
        "with-file",
        paths=[tmp_path / "note.txt"],
        config={"factory": "ase.calculators.emt:EMT", "kwargs": {"label": {"$file": "note.txt"}}},
    )
    node = predict(alone, potential)
    assert node.is_finished_ok, node.exit_message
    assert list(node.outputs.predictions.base.attributes.get("weights")) == ["note.txt"]
