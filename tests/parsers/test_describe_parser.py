"""DescribeParser on real outputs that were altered by hand."""

from __future__ import annotations

import io
import json

import pytest
from aiida.orm import FolderData
from aiida.plugins import ParserFactory


@pytest.fixture
def parse(described, monkeypatch):
    """Return a function that parses a content of results.json as if the real job had left it."""

    def parser(content):
        retrieved = FolderData()
        if content is not None:
            retrieved.base.repository.put_object_from_filelike(io.BytesIO(content), "results.json")
        instance = ParserFactory("surfbench.describe")(described)
        monkeypatch.setattr(type(instance), "retrieved", property(lambda self: retrieved))
        return instance.outputs, instance.parse()

    return parser


@pytest.fixture
def results(described):
    """Return what a real job left."""
    return json.loads(described.outputs.retrieved.base.repository.get_object_content("results.json"))


def test_unaltered_results(parse, results, described):
    found, exit_code = parse(json.dumps(results).encode())
    assert exit_code is None
    assert found["environment"].get_dict() == described.outputs.environment.get_dict()


@pytest.mark.parametrize("environment", [None, [], {}, {"families": []}])
def test_results_without_an_environment(parse, results, environment):
    results["environment"] = environment
    found, exit_code = parse(json.dumps(results).encode())
    assert exit_code.status == 311
    assert "holds no environment" in exit_code.message
    assert "environment" not in found


def test_no_results(parse):
    assert parse(None)[1].status == 310
    assert parse(b"{")[1].status == 311


def test_errors_it_has_no_exit_code_for_are_unexpected(parse, results):
    error = {"code": "weights_missing", "message": "Here is why."}
    _, exit_code = parse(json.dumps({**results, "status": "failed", "error": error}).encode())
    assert exit_code.status == 490
    assert "Here is why." in exit_code.message
