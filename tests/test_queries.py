"""From the profile to records."""

from __future__ import annotations

from aiida_surfbench import queries


def test_datasets_and_potentials(dataset, emt):
    record = next(record for record in queries.datasets() if record["uuid"] == dataset.uuid)
    assert record["label"] == "metals"
    assert record["pk"] == dataset.pk
    assert (record["n_slabs"], record["n_bulks"], record["has_references"]) == (12, 6, True)
    assert record["sha256"] == dataset.sha256
    assert record["ctime"].startswith("20")
    record = next(record for record in queries.potentials() if record["uuid"] == emt.uuid)
    assert (record["label"], record["family"], record["storage"]) == ("emt", "ase", "embedded")
    pks = [record["pk"] for record in queries.potentials()]
    assert pks == sorted(pks)


def test_evaluations_of_a_benchmark_and_of_a_chain(benchmarked, evaluated):
    chains = queries.evaluations(benchmarked)
    assert [chain.inputs.potential.name for chain in chains] == ["emt", "lj", "nothing"]
    assert [chain.pk for chain in queries.evaluations(evaluated)] == [evaluated.pk]


def test_recent_processes_are_newest_first_and_no_children(benchmarked, evaluated):
    pks = [node.pk for node in queries.recent_processes()]
    assert pks == sorted(pks, reverse=True)
    assert {benchmarked.pk, evaluated.pk} <= set(pks)
    assert not {child.pk for child in benchmarked.called} & set(pks)
    assert [node.pk for node in queries.recent_processes(1)] == pks[:1]


def test_results_leave_out_what_failed(benchmarked, evaluated):
    found = queries.results([benchmarked, evaluated])
    assert [result.surface_energies.potential for result in found] == ["emt", "lj", "emt"]
    labels = found[0].labels()
    assert labels["potential"] == "emt"
    assert labels["dataset"] == "metals"
    assert labels["workchain_uuid"] == found[0].workchain.uuid


def test_records_and_frame(evaluated):
    found = queries.results([evaluated])
    records = queries.metrics_records([(found[0], found[0].metrics)], "miller")
    assert [record["miller_index"] for record in records] == [[1, 0, 0], [1, 1, 1]]
    assert {record["metrics_uuid"] for record in records} == {evaluated.outputs.metrics.uuid}
    records = queries.structure_records(found, {"Cu-111", "Cu-bulk"})
    assert [record["structure_id"] for record in records] == ["Cu-111"]
    assert records[0]["surface_energies_uuid"] == evaluated.outputs.surface_energies.uuid
    frame = queries.to_frame(queries.structure_records(found))
    assert len(frame) == 12
    assert frame["error_j_m2"].notna().all()
    assert set(frame["potential"]) == {"emt"}
    assert queries.to_frame([]).empty
