"""What only the family ase has: a calculator that is told the device, and whose package is recorded."""

from __future__ import annotations

import importlib.metadata

import pytest

from aiida_surfbench.runner.contract import NOT_AVAILABLE, JobError
from aiida_surfbench.runner.families.ase import load


def test_calculator_that_is_not_told_the_device_is_refused_on_a_gpu():
    with pytest.raises(JobError, match="device") as caught:
        load({}, {"factory": "ase.calculators.emt:EMT"}, "cuda", "native", set())
    assert caught.value.code == NOT_AVAILABLE


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_calculator_is_told_the_device(device):
    config = {"factory": "ase.calculators.emt:EMT", "kwargs": {"label": {"$device": True}}}
    potential = load({}, config, device, "native", set())
    assert potential.calculator().label == device


def test_package_of_the_calculator_is_named_with_its_version():
    potential = load({}, {"factory": "ase.calculators.emt:EMT"}, "cpu", "native", set())
    assert potential.packages == {"ase": importlib.metadata.version("ase")}
