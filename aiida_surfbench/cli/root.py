"""The command group, and what all commands share: profile, errors of the user, output formats."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import click

from .. import __version__

P = ParamSpec("P")
R = TypeVar("R")


@click.group("surfbench", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-p", "--profile", "profile_name", metavar="NAME", help="AiiDA profile; by default AiiDA's default.")
@click.version_option(__version__, prog_name="aiida-surfbench")
def cli(profile_name: str | None) -> None:
    """Benchmark interatomic potentials on surfaces, with full provenance.

    Start with `aiida-surfbench demo`.
    """
    if profile_name is not None:
        _load_profile(profile_name)


def _load_profile(name: str | None = None) -> None:
    from aiida import load_profile
    from aiida.common.exceptions import ConfigurationError

    try:
        load_profile(name, allow_switch=True)
    except ConfigurationError as exception:
        what = f"The AiiDA profile {name!r} cannot be loaded" if name else "There is no default AiiDA profile"
        raise click.ClickException(
            f"{what}: {exception} Make one with `verdi presto --use-zeromq`, choose one with -p, or try "
            "`aiida-surfbench demo`, which makes its own."
        ) from exception


def command_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Turn what a user got wrong into one sentence and a non-zero exit."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        from aiida.common.exceptions import NotExistent
        from aiida.common.exceptions import ValidationError as AiidaValidationError

        from ..formats.structure_set import StructureSetError
        from ..ingestion import IngestionError
        from ..potentials.registry import PotentialFileError, RegistryError

        expected = (
            AiidaValidationError,
            IngestionError,
            NotExistent,
            PotentialFileError,
            RegistryError,
            StructureSetError,
        )
        try:
            return function(*args, **kwargs)
        except expected as exception:
            text = exception.args[0] if exception.args else exception
            raise click.ClickException(str(text)) from exception

    return wrapper


def with_profile(function: Callable[P, R]) -> Callable[P, R]:
    """Load the default profile unless one is loaded, and treat errors as :func:`command_errors` does."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        from aiida.manage import get_manager

        if get_manager().get_profile() is None:
            _load_profile()
        return command_errors(function)(*args, **kwargs)

    return wrapper


def program() -> str:
    """Return how to call this program for the loaded profile, for the commands that messages propose."""
    from aiida.manage import get_manager

    profile = get_manager().get_profile()
    if profile is None or profile.name == get_manager().get_config().default_profile_name:
        return "aiida-surfbench"
    return f"aiida-surfbench -p {profile.name}"


def main() -> Any:
    """Entry point of ``aiida-surfbench``."""
    warnings.filterwarnings("ignore", message="Creating AiiDA configuration folder")  # no news for who starts
    return cli(prog_name="aiida-surfbench")


def interactive() -> bool:
    """Return whether a person looks at standard error."""
    return sys.stderr.isatty()
