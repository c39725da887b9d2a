"""Building a benchmark and running it in this program."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiida.manage import get_manager
from aiida.orm import Dict, QueryBuilder
from aiida.plugins import CalculationFactory

from aiida_surfbench.data.potential import PotentialData
from aiida_surfbench.data.selection import make_selection, read_selection
from aiida_surfbench.ingestion import IngestionError
from aiida_surfbench.launch import (
    build_benchmark,
    daemon_is_running,
    restrict,
    row_key,
    run_in_place,
    select_common,
    select_elements,
    use_local_runner,
)
from aiida_surfbench.queries import results


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("chgnet-0.3.0", "p_chgnet_0_3_0"),
        ("a--b__c", "p_a_b_c"),
        ("7net", "p_7net"),
        ("Größe 2", "p_Gr_e_2"),
    ],
)
def test_row_key_is_one_aiida_allows(name, key):
    assert row_key(name) == key
    assert key.isidentifier()


def test_builder_has_what_was_given(dataset, emt, code, light_code):
    selection = make_selection(["Cu-bulk", "Cu-111"])
    builder = build_benchmark(
        dataset, [emt], {"ase": light_code}, selection, {"batch_atoms": 10}, {"max_wallclock_seconds": 60}
    )
    assert builder.codes["ase"].uuid == light_code.uuid
    assert builder.execution.get_dict() == {"batch_atoms": 10}
    assert builder.job_options == {"max_wallclock_seconds": 60}
    assert builder.selection.uuid == selection.uuid
    assert build_benchmark(dataset, [emt]).codes["ase"].uuid == code.uuid  # by default the Python that runs this


def test_two_potentials_do_not_share_a_row(dataset, emt, code):
    """Names that differ in punctuation only must not replace each other silently."""
    config = {"factory": "ase.calculators.emt:EMT"}
    one, two = (PotentialData("ase", name, config=config) for name in ("emt-1.0", "emt-1_0"))
    assert len(build_benchmark(dataset, [one, two]).potentials) == 2


def test_no_daemon_runs_for_a_profile_without_broker(aiida_profile):
    assert daemon_is_running() is False


def test_run_in_place_looks_and_can_be_repeated(dataset, emt, code, caplog):
    seen = []
    for _ in range(2):
        use_local_runner()  # as the commands do before a calcfunction
        builder = CalculationFactory("surfbench.predict").get_builder()
        builder.code, builder.structures, builder.potential = code, dataset, emt
        builder.selection = make_selection(["Cu-bulk"])
        with caplog.at_level(logging.ERROR):
            node = run_in_place(builder, seen.append)
        assert node.is_finished_ok, node.exit_message
    assert {each.process_label for each in seen} == {"PredictCalculation"}
    assert len({each.pk for each in seen}) == 2
    assert not asyncio.all_tasks(get_manager().get_runner().loop)
    assert "Task was destroyed" not in caplog.text


def test_selection_of_elements(dataset, code):
    selection = select_elements(dataset, ["Cu", "Au"])
    assert read_selection(selection) == ["Au-bulk", "Au-111", "Au-100", "Cu-bulk", "Cu-111", "Cu-100"]
    with pytest.raises(IngestionError, match=r"no slab of Xe; it has Ag, Al"):
        select_elements(dataset, ["Xe"])


def test_common_selection_and_restricted_metrics_are_used_again(benchmarked):
    found = results([benchmarked])
    assert [result.surface_energies.potential for result in found] == ["emt", "lj"]
    selection = select_common(found)
    assert select_common(found).uuid == selection.uuid
    assert read_selection(selection) == sorted(
        row["structure_id"] for row in found[0].surface_energies.rows() if row["role"] == "slab"
    )
    metrics = restrict(found[0], selection)
    count = QueryBuilder().append(Dict).count()
    assert restrict(found[0], selection).uuid == metrics.uuid
    assert QueryBuilder().append(Dict).count() == count
    assert metrics.creator.inputs.selection.uuid == selection.uuid
    assert select_common(found[:1]).uuid != selection.uuid  # of fewer results it is another
