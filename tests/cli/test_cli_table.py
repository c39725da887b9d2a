"""aiida-surfbench table and status, on a benchmark of which one potential failed."""

from __future__ import annotations

import csv
import io

import pytest
from aiida.orm import CalcFunctionNode, QueryBuilder

from aiida_surfbench.queries import evaluations

OVERALL = {
    "potential", "n_bulks", "n_slabs", "n_failed", "bulk_energy_rmse_ev_per_atom", "slab_energy_rmse_ev_per_atom",
    "slab_energy_derived", "surface_energy_rmse_j_m2", "surface_energy_mae_j_m2", "surface_energy_bias_j_m2",
    "surface_energy_rmse_ci95_j_m2",
}  # fmt: skip
STRUCTURE = {
    "potential", "structure_id", "element", "miller_index", "n_atoms", "surface_energy_dft_j_m2",
    "surface_energy_ml_j_m2", "error_j_m2", "status", "reason",
}  # fmt: skip
KEYS = {"element": "element", "miller": "miller_index", "lattice": "lattice"}


@pytest.fixture
def table(invoke, benchmarked, load_json):
    """Return a function that gives the records of a table as JSON."""
    return lambda *arguments: load_json(invoke("table", benchmarked.pk, *arguments, "--format", "json").stdout)


def test_overall(table, benchmarked):
    records = table()
    assert [record["potential"] for record in records] == ["emt", "lj"]
    for record, key in zip(records, ("p_emt", "p_lj"), strict=True):
        assert set(record) >= OVERALL
        metrics = benchmarked.outputs.results[key]["metrics"]
        assert {name: record[name] for name in metrics["overall"]} == metrics["overall"]
        assert record["metrics_uuid"] == metrics.uuid
        assert record["slab_energy_derived"] is True
        low, high = record["surface_energy_rmse_ci95_j_m2"]
        assert low <= record["surface_energy_rmse_j_m2"] <= high
        assert record["dataset"] == "metals"


@pytest.mark.parametrize(("by", "n"), [("element", 6), ("miller", 2), ("lattice", 1)])
def test_groups(table, by, n):
    records = table("--by", by)
    assert len(records) == 2 * n
    key = KEYS[by]
    for record in records:
        assert set(record) >= OVERALL | {key}
    values = [record[key] for record in records if record["potential"] == "emt"]
    expected = {
        "element": ["Ag", "Al", "Au", "Cu", "Ni", "Pd"], "miller": [[1, 0, 0], [1, 1, 1]], "lattice": ["fcc"],
    }  # fmt: skip
    assert values == expected[by]
    assert sum(record["n_slabs"] for record in records) == 24


def test_structures(table, dataset):
    records = table("--by", "structure")
    assert len(records) == 24
    slabs = {row["structure_id"]: row for row in dataset.rows() if row["role"] == "slab"}
    for record in records:
        assert set(record) >= STRUCTURE
        row = slabs[record["structure_id"]]
        assert record["miller_index"] == row["miller_index"]
        assert record["surface_energy_dft_j_m2"] == row["dft_surface_energy"]
        difference = record["surface_energy_ml_j_m2"] - record["surface_energy_dft_j_m2"]
        assert record["error_j_m2"] == pytest.approx(difference, abs=1e-12)
        assert (record["status"], record["reason"]) == ("ok", None)


@pytest.mark.parametrize("by", ["overall", "element", "miller", "lattice", "structure"])
def test_every_format_of_every_table(invoke, benchmarked, table, by):
    records = table("--by", by)
    arguments = ("table", benchmarked.pk, "--by", by, "--format")
    rows = list(csv.DictReader(io.StringIO(invoke(*arguments, "csv").stdout)))
    assert len(rows) == len(records)
    value = "error_j_m2" if by == "structure" else "surface_energy_rmse_j_m2"
    assert [float(row[value]) for row in rows] == [record[value] for record in records]  # unrounded
    lines = [line for line in invoke(*arguments, "markdown").stdout.splitlines() if line.startswith("|")]
    assert len(lines) == len(records) + 2
    assert len({line.count("|") for line in lines}) == 1
    rich = invoke(*arguments, "rich").stdout
    assert "emt" in rich
    assert f"{records[0][value]:.3f}" in rich
    assert "J/m²" in rich


def test_derived_slab_energies_are_said_to_be(invoke, benchmarked):
    assert "derived" in invoke("table", benchmarked.pk).stdout
    assert "derived" in invoke("table", benchmarked.pk, "--format", "markdown").stdout


def test_potential_without_a_row_is_mentioned(invoke, benchmarked):
    result = invoke("table", benchmarked.pk, "--format", "json")
    assert "No row for nothing" in result.stderr
    assert "no callable 'Nothing'" in result.stderr


def test_common_is_traceable_and_made_once(table, invoke, benchmarked):
    first = table("--common")
    made = QueryBuilder().append(CalcFunctionNode).count()
    assert table("--common") == first
    assert QueryBuilder().append(CalcFunctionNode).count() == made
    assert [record["n_slabs"] for record in first] == [12, 12]
    assert {record["metrics_uuid"] for record in first}.isdisjoint(record["metrics_uuid"] for record in table())
    assert len(table("--common", "--by", "structure")) == 24


def test_common_over_different_survivors(
    invoke, refuse, run, code, described, dataset, benchmarked, metal_records, load_json
):
    """A potential that knows no gold is compared with EMT on the other metals only."""
    from aiida_surfbench.ingestion import install_potential
    from aiida_surfbench.launch import build_benchmark

    goldless = install_potential(
        "ase", "goldless", config={"factory": "ase.calculators.emt:EMT"}, elements=["Cu", "Ag"]
    )
    node = run(build_benchmark(dataset, [goldless]))
    both = ("table", benchmarked.pk, node.pk, "--format", "json")
    apart = {record["potential"]: record for record in load_json(invoke(*both).stdout)}
    assert (apart["goldless"]["n_slabs"], apart["goldless"]["n_failed"]) == (12, 8)
    common = {record["potential"]: record for record in load_json(invoke(*both, "--common").stdout)}
    assert {name: record["n_slabs"] for name, record in common.items()} == {"emt": 4, "lj": 4, "goldless": 4}
    assert common["emt"]["surface_energy_rmse_j_m2"] == pytest.approx(common["goldless"]["surface_energy_rmse_j_m2"])
    assert common["emt"]["surface_energy_rmse_j_m2"] != apart["emt"]["surface_energy_rmse_j_m2"]
    records = load_json(invoke("table", node.pk, "--by", "structure", "--format", "json").stdout)
    gold = next(record for record in records if record["element"] == "Au")
    assert gold["status"] == "failed"
    assert "not made for Au" in gold["reason"]
    assert gold["surface_energy_ml_j_m2"] is None


def test_newest_and_all(invoke, benchmarked, evaluated, load_json):
    every = load_json(invoke("table", "--all", "--format", "json").stdout)
    assert {evaluated.pk} | {child.pk for child in evaluations(benchmarked) if child.is_finished_ok} <= {
        record["workchain_pk"] for record in every
    }
    newest = load_json(invoke("table", "--format", "json").stdout)
    assert newest[-1] == every[-1]
    assert len(newest) < len(every)
    single = load_json(invoke("table", evaluated.uuid, "--format", "json").stdout)
    assert [record["workchain_uuid"] for record in single] == [evaluated.uuid]


def test_mistakes_are_one_sentence(refuse, benchmarked, dataset):
    assert "no benchmark '999999999'" in refuse("table", 999_999_999)
    assert "no benchmark" in refuse("table", "nobody")
    assert "no benchmark" in refuse("table", "")
    assert "no benchmark but a SurfaceSetData" in refuse("table", dataset.pk)
    assert "not both" in refuse("table", benchmarked.pk, "--all")
    assert "'colour'" in refuse("table", benchmarked.pk, "--by", "colour")
    assert "'xml'" in refuse("table", benchmarked.pk, "--format", "xml")
    assert "no benchmark" in refuse("status", "nobody")
    assert "no benchmark but a" in refuse("status", dataset.pk)


def test_status_lists_benchmarks(invoke, benchmarked, evaluated):
    output = invoke("status").output
    assert str(benchmarked.pk) in output
    assert "emt, lj, nothing" in output
    assert "failed (404)" in output
    assert "metals" in output
    assert "done" in output


def test_status_of_one(invoke, benchmarked, evaluated):
    output = invoke("status", benchmarked.pk).output
    assert benchmarked.uuid in output
    assert output.count("18 of 18") == 2
    assert "0 of 18" in output
    assert "nothing: PredictCalculation" in output
    assert "no callable 'Nothing'" in output
    child = next(child for child in evaluations(benchmarked) if not child.is_finished_ok)
    assert f"verdi process report {child.pk}" in output
    assert "18 of 18" in invoke("status", evaluated.uuid).output
