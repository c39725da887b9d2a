"""DescribeCalculation: what the Code's environment can run, in which versions, on which device."""

from __future__ import annotations

import hashlib
import io
import platform
from importlib.metadata import version

import pytest
from aiida.manage.caching import enable_caching
from aiida.orm import Dict, SinglefileData
from aiida.plugins import CalculationFactory
from aiida.tools import delete_nodes

from aiida_surfbench.calculations.runner_job import get_runner
from aiida_surfbench.runner.build import build_runner


def test_description_names_versions_families_and_device(described):
    environment = described.outputs.environment.get_dict()
    assert environment["python"] == platform.python_version()
    assert environment["machine"] == platform.machine()
    assert environment["device_class"] == "cpu"
    assert environment["packages"]["ase"] == version("ase")
    assert environment["packages"]["numpy"] == version("numpy")
    assert set(environment["families"]) == {"chgnet", "m3gnet", "ase"}
    assert environment["families"]["ase"] == {"importable": True, "version": version("ase"), "reason": None}
    for family in environment["families"].values():
        assert set(family) == {"importable", "version", "reason"}
        assert family["importable"] is (family["reason"] is None)


@pytest.mark.usefixtures("chgnet_installed")
def test_installed_family_is_importable(described):
    family = described.outputs.environment.get_dict()["families"]["chgnet"]
    assert family == {"importable": True, "version": version("chgnet"), "reason": None}


def test_gpu_that_is_not_there(run, code):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    builder = CalculationFactory("surfbench.describe").get_builder()
    builder.code, builder.execution = code, Dict({"device": "cuda"})
    node = run(builder)
    assert node.exit_status == 412
    assert "sees no GPU" in node.exit_message
    assert "environment" not in node.outputs


def test_description_is_never_taken_from_the_cache(run, code, described):
    builder = CalculationFactory("surfbench.describe").get_builder()
    builder.code = code
    builder.runner, builder.execution = described.inputs.runner, described.inputs.execution
    with enable_caching():
        node = run(builder)
    assert node.is_finished_ok
    assert not node.base.caching.is_created_from_cache


def test_runner_node_that_only_claims_to_be_the_runner_is_not_used(aiida_profile):
    content = build_runner()
    impostor = SinglefileData(io.BytesIO(b"something else"), filename="runner.pyz")
    impostor.base.attributes.set("sha256", hashlib.sha256(content).hexdigest())
    impostor.store()
    try:
        assert get_runner().get_content(mode="rb") == content
    finally:
        delete_nodes([impostor.pk], dry_run=False)
