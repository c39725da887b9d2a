"""Calling the command line within the tests' own profile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner


@pytest.fixture
def invoke(code: Any) -> Callable[..., Any]:
    """Return a function that calls a command which must succeed, and gives click's result."""
    from aiida_surfbench.cli import cli

    def call(*arguments: Any) -> Any:
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
        assert "Traceback" not in result.output
        return result

    return call


@pytest.fixture
def refuse(code: Any) -> Callable[..., str]:
    """Return a function that calls a command which must fail, and gives its one sentence.

    A mistake of the user is no exception of the program, and no traceback.
    """
    from aiida_surfbench.cli import cli

    def call(*arguments: Any) -> str:
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        assert result.exit_code != 0, result.output
        assert isinstance(result.exception, SystemExit), repr(result.exception)
        assert "Traceback" not in result.output
        assert "\nError: " in "\n" + result.stderr
        return str(result.stderr.partition("Error: ")[2])

    return call
