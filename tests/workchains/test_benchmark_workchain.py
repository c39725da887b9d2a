"""BenchmarkWorkChain: potentials side by side, of which one may fail."""

from __future__ import annotations

import pytest
from aiida.engine import run_get_node
from aiida.orm import ProcessNode, QueryBuilder
from aiida.plugins import WorkflowFactory

from aiida_surfbench.data.potential import PotentialData
from aiida_surfbench.data.selection import make_selection
from aiida_surfbench.launch import build_benchmark


@pytest.fixture
def builder(dataset, code):
    """Return a builder without potentials."""
    made = WorkflowFactory("surfbench.benchmark").get_builder()
    made.structures, made.codes = dataset, {"ase": code}
    return made


def test_one_potential_that_fails_does_not_take_the_others_down(benchmarked):
    assert benchmarked.exit_status == 404
    assert "1 of 3 potentials failed" in benchmarked.exit_message
    assert "nothing" in benchmarked.exit_message
    assert "no callable 'Nothing'" in benchmarked.exit_message
    results = benchmarked.outputs.results
    assert set(results) == {"p_emt", "p_lj"}
    for outputs in results.values():
        assert set(outputs) == {"predictions", "surface_energies", "metrics"}
        assert outputs["metrics"]["overall"]["n_slabs"] == 12
    assert results["p_emt"]["metrics"]["potential"] == "emt"
    assert results["p_lj"]["metrics"]["potential"] == "lj"
    emt, lennard_jones = (results[key]["metrics"]["overall"]["surface_energy_rmse_j_m2"] for key in ("p_emt", "p_lj"))
    assert emt != lennard_jones


def test_children_are_named_by_their_potentials(benchmarked):
    children = [child for child in benchmarked.called if child.process_label != "DescribeCalculation"]
    assert {child.label for child in children} == {"emt", "lj", "nothing"}
    assert {child.process_label for child in children} == {"SurfaceEnergyWorkChain"}
    assert sorted(child.exit_status for child in children) == [0, 0, 402]


def test_emt_gives_the_same_alone_and_in_a_benchmark(benchmarked, evaluated):
    alone = evaluated.outputs.metrics.get_dict()
    assert benchmarked.outputs.results["p_emt"]["metrics"].get_dict() == alone


def test_all_failed(run, dataset, no_calculator, described):
    selection = make_selection(["Cu-bulk", "Cu-111"])
    node = run(build_benchmark(dataset, [no_calculator], selection=selection))
    assert node.exit_status == 405
    assert "All 1 potentials failed" in node.exit_message
    assert "nothing" in node.exit_message
    assert "results" not in node.outputs


def refuse(builder):
    count = QueryBuilder().append(ProcessNode).count()
    with pytest.raises(ValueError, match=r".") as refusal:
        run_get_node(builder)
    assert QueryBuilder().append(ProcessNode).count() == count
    return str(refusal.value)


def test_potential_without_a_code_is_refused(builder, emt, tmp_path):
    (tmp_path / "w").write_bytes(b"")
    builder.potentials = {"p_emt": emt, "p_x": PotentialData("chgnet", "mine", files={"w": tmp_path / "w"})}
    sentence = refuse(builder)
    assert "none for the potential 'mine'" in sentence
    assert "'chgnet'" in sentence
    assert "'p_x'" in sentence


def test_two_potentials_of_one_name_are_refused(builder, emt):
    builder.potentials = {"one": emt, "two": PotentialData("ase", "emt", config={"factory": "ase.calculators.lj:LJ"})}
    sentence = refuse(builder)
    assert "same name 'emt'" in sentence


def test_no_potential_is_refused(builder):
    assert "give at least one" in refuse(builder)


def test_selection_without_a_bulk_is_refused(builder, emt):
    builder.potentials = {"p_emt": emt}
    builder.selection = make_selection(["Cu-111"])
    assert "without its bulk" in refuse(builder)


def test_code_under_the_potentials_own_key_comes_first(builder, emt, code, light_code):
    """A potential's own Code replaces its family's: the process is made with it, without being run."""
    from aiida.manage import get_manager

    builder.potentials = {"p_emt": emt}
    builder.codes = {"ase": code, "p_emt": light_code}
    process = get_manager().get_runner().instantiate_process(builder)
    assert process.inputs.codes["p_emt"].uuid == light_code.uuid
    process.kill()


def test_a_code_nothing_is_known_of_is_described_once(
    run, dataset, emt, lennard_jones, light_python, make_python_code, tmp_path
):
    code = make_python_code("fresh", str(light_python(tmp_path / "python")))
    selection = make_selection(["Cu-bulk", "Cu-111"])
    node = run(build_benchmark(dataset, [emt, lennard_jones], {"ase": code}, selection=selection))
    assert node.is_finished_ok, node.exit_message
    labels = [child.process_label for child in node.called_descendants]
    assert labels.count("DescribeCalculation") == 1
    assert labels.count("PredictCalculation") == 2
