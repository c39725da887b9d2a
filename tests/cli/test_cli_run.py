"""aiida-surfbench run: in place, on a selection, with what is installed on the way, and what is refused."""

from __future__ import annotations

import re

import pytest
from aiida.orm import Node, ProcessNode, QueryBuilder, load_node

LIGHT = ("--code", "ase=light@localhost")


def benchmark_of(output):
    """Return the process whose pk and uuid a command printed."""
    pk, uuid = re.search(r"BenchmarkWorkChain <(\d+)> ([0-9a-f-]{36})", output).groups()
    node = load_node(int(pk))
    assert node.uuid == uuid
    return node


def test_run_in_place(invoke, dataset, emt, light_code):
    result = invoke("run", "--dataset", "metals", "--potential", "emt", "--potential", emt.uuid, *LIGHT)
    node = benchmark_of(result.stdout)
    assert node.is_finished_ok
    assert node.inputs.structures.uuid == dataset.uuid
    assert node.inputs.codes["ase"].uuid == light_code.uuid
    assert "selection" not in node.inputs
    labels = [child.process_label for child in node.called]
    assert labels.count("SurfaceEnergyWorkChain") == 1  # a potential given twice is one row
    assert "emt" in result.stdout
    assert "12" in result.stdout
    assert f"aiida-surfbench table {node.pk}" in result.stdout
    assert f"<{node.pk}>" in result.stderr  # progress names the process before it ends


def test_run_of_some_elements(invoke, dataset, emt, light_code):
    result = invoke(
        "run", "--dataset", dataset.pk, "--potential", "emt", "--elements", "Au, Cu", "--batch-atoms", 3,
        "--job-option", "max_wallclock_seconds=600", *LIGHT,
    )  # fmt: skip
    node = benchmark_of(result.stdout)
    selection = node.inputs.selection
    assert selection.creator.process_label == "select_structures"
    metrics = node.outputs.results["p_emt"]["metrics"]
    assert [row["element"] for row in metrics["by_element"]] == ["Au", "Cu"]
    assert metrics["overall"]["n_slabs"] == 4
    job = next(child for child in node.called_descendants if child.process_label == "PredictCalculation")
    assert job.inputs.execution["batch_atoms"] == 3
    assert job.get_option("max_wallclock_seconds") == 600
    assert job.outputs.predictions.n_ok == 6


@pytest.mark.usefixtures("described", "chgnet_installed")
def test_registry_name_is_installed_on_the_way(invoke, dataset):
    result = invoke("run", "--dataset", "metals", "--potential", "chgnet-0.3.0", "--elements", "Cu")
    assert "Installed chgnet-0.3.0" in result.stderr
    node = benchmark_of(result.stdout)
    potential = node.inputs.potentials["p_chgnet_0_3_0"]
    assert (potential.label, potential.storage) == ("chgnet-0.3.0", "embedded")
    overall = node.outputs.results["p_chgnet_0_3_0"]["metrics"]["overall"]
    assert overall["n_failed"] == 0
    assert 0 < overall["surface_energy_rmse_j_m2"] < 3


def test_failed_potential_is_an_error_and_the_others_are_printed(
    invoke, refuse, dataset, emt, no_calculator, light_code
):
    sentence = refuse(
        "run", "--dataset", "metals", "--elements", "Cu", "--potential", "emt", "--potential", "nothing", *LIGHT
    )
    assert "1 of 2 potentials failed" in sentence
    assert "no callable 'Nothing'" in sentence
    node = QueryBuilder().append(ProcessNode, filters={"attributes.process_label": "BenchmarkWorkChain"}, tag="n")
    node = node.order_by({"n": {"id": "desc"}}).first(flat=True)
    status = invoke("status", node.pk).output
    assert "failed (404)" in status
    assert "nothing: PredictCalculation" in status
    assert "verdi process report" in status


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--dataset", "nobody", "--potential", "emt"), "no dataset 'nobody'"),
        (("--dataset", "metals", "--potential", "nobody"), "no potential 'nobody'"),
        (("--dataset", "metals", "--potential", "mace-mp-0-small"), "later version"),
        (("--dataset", "metals", "--potential", "emt", "--elements", "Xe"), "no slab of Xe"),
        (("--dataset", "metals", "--potential", "emt", "--elements", ","), "no slab of"),
        (("--dataset", "metals", "--potential", "emt", "--code", "ase=nowhere"), "no Code 'nowhere'"),
        (("--dataset", "metals", "--potential", "emt", "--code", "ase"), "not FAMILY=CODE"),
        (("--dataset", "metals", "--potential", "emt", "--job-option", "wall"), "not KEY=VALUE"),
        (("--dataset", "metals", "--potential", "emt", "--job-option", "no_such=1"), "no_such"),
        (
            ("--dataset", "metals", "--potential", "emt", "--job-option", 'resources={"num_cores": 1}'),
            "resources does not suit the scheduler core.direct",
        ),
        (("--dataset", "metals", "--potential", "emt", "--code", "chgnt=light@localhost"), "of the family 'chgnt'"),
        (("--dataset", "metals", "--potential", "emt", "--batch-atoms", "0"), "--batch-atoms"),
        (("--dataset", "metals", "--potential", "emt", "--device", "tpu"), "--device"),
        (("--dataset", "metals"), "Missing option '--potential'"),
        (("--potential", "emt"), "Missing option '--dataset'"),
        (("--dataset", "metals", "--potential", "emt", "--submit"), "daemon start"),
    ],
)
def test_mistakes_are_one_sentence_and_nothing_is_started(refuse, dataset, emt, light_code, arguments, words):
    count = QueryBuilder().append(Node).count()
    assert words in refuse("run", *arguments)
    assert QueryBuilder().append(Node).count() == count
