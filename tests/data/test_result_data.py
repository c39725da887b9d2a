"""PredictionsData, SurfaceEnergiesData and selections."""

from __future__ import annotations

import numpy as np
import pytest
from aiida.common.exceptions import ModificationNotAllowed
from aiida.orm import load_node

from aiida_surfbench.data.predictions import PredictionsData
from aiida_surfbench.data.selection import make_selection, read_selection
from aiida_surfbench.data.surface_energies import SurfaceEnergiesData
from aiida_surfbench.runner.parts import PartsWriter

ROWS = [
    {"structure_id": "a", "status": "ok", "reason": None, "n_atoms": 2, "energy": -1.5},
    {"structure_id": "b", "status": "failed", "reason": "too close", "n_atoms": 3, "energy": None},
    {"structure_id": "c", "status": "ok", "reason": None, "n_atoms": 1, "energy": 1 / 3},
]


def write_parts(folder, outcomes):
    """Write parts as the runner does and return the npz files."""
    writer = PartsWriter(folder, ["forces", "stress"], len(outcomes))
    for structure_id, n_atoms, outcome in outcomes:
        writer.add(structure_id, n_atoms, outcome)
    writer.write_part()
    return sorted((folder / "parts").glob("*.npz"))


def answer(n_atoms, seed):
    generator = np.random.default_rng(seed)
    return {"energy": -1.0, "forces": generator.normal(size=(n_atoms, 3)), "stress": generator.normal(size=6)}


def test_rows_come_back(aiida_profile):
    node = load_node(PredictionsData(ROWS, attributes={"properties": ["energy"], "device": "cpu"}).store().pk)
    assert node.rows() == ROWS
    assert node.results()["c"]["energy"] == 1 / 3
    assert (node.n_ok, node.n_failed, node.base.attributes.get("n_structures")) == (2, 1, 3)
    assert node.base.attributes.get("device") == "cpu"
    with pytest.raises(KeyError, match="no forces"):
        node.get_arrays("forces")
    with pytest.raises(KeyError, match="no energy"):
        node.get_arrays("energy")
    with pytest.raises(ModificationNotAllowed):
        node.base.attributes.set("n_ok", 3)


def test_arrays_come_back_by_id(aiida_profile, tmp_path):
    answers = {"a": answer(2, 1), "c": answer(1, 2)}
    outcomes = [("a", 2, answers["a"]), ("b", 3, "too close"), ("c", 1, answers["c"])]
    arrays = write_parts(tmp_path, outcomes)
    assert len(arrays) == 1
    node = PredictionsData(ROWS, arrays, {"properties": ["energy", "forces", "stress"]}).store()
    for name in ("forces", "stress"):
        found = node.get_arrays(name)
        assert set(found) == {"a", "c"}
        for structure_id, given in answers.items():
            assert np.array_equal(found[structure_id], given[name])


def test_a_part_without_any_answer_gives_no_arrays(aiida_profile, tmp_path):
    arrays = write_parts(tmp_path, [("b", 3, "too close")])
    assert len(arrays) == 1
    node = PredictionsData(ROWS[1:2], arrays, {"properties": ["energy", "forces", "stress"]}).store()
    assert node.get_arrays("forces") == {}
    assert node.get_arrays("stress") == {}


def test_not_a_number_never_gets_into_a_table(aiida_profile):
    with pytest.raises(ValueError, match="JSON compliant"):
        PredictionsData([{**ROWS[0], "energy": float("nan")}])


def test_surface_energies_count_failed_slabs(aiida_profile):
    rows = [
        {"structure_id": "b", "role": "bulk", "status": "failed", "error_j_m2": None},
        {"structure_id": "s", "role": "slab", "status": "failed", "error_j_m2": None},
        {"structure_id": "t", "role": "slab", "status": "ok", "error_j_m2": 0.1},
    ]
    node = load_node(SurfaceEnergiesData(rows, potential="emt").store().pk)
    assert node.rows() == rows
    assert node.potential == "emt"
    counts = {name: node.base.attributes.get(name) for name in ("n_bulks", "n_slabs", "n_failed")}
    assert counts == {"n_bulks": 1, "n_slabs": 2, "n_failed": 1}


def test_selection_keeps_order_and_counts(aiida_profile):
    ids = ["z-9", "a", "Cu(111)/#2", "b.1"]
    node = load_node(make_selection(iter(ids)).store().pk)
    assert read_selection(node) == ids
    assert node.base.attributes.get("n_structures") == 4
    assert read_selection(make_selection([]).store()) == []
