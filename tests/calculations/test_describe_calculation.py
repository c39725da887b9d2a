"""DescribeCalculation: what the Code's environment can run, in which versions, on which device."""

from __future__ import annotations

import platform
from importlib.metadata import version

import pytest
from aiida.orm import Dict
from aiida.plugins import CalculationFactory


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
