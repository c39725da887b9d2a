"""The families of potentials: one thin file each, imported only when its family is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from ase import Atoms

from ..contract import BAD_JOB, FAMILIES, FAMILIES_NOT_YET, NOT_AVAILABLE, JobError


class Potential(Protocol):
    """A loaded model."""

    #: Range in Å within which every atom needs a neighbour; ``None`` if unknown.
    cutoff: float | None
    #: Elements the model itself names; ``None`` if it does not.
    elements: frozenset[str] | None
    #: The precision it computes in: ``float32``, ``float64``, or ``native`` where the model does not say.
    dtype: str

    def predict(self, structures: Sequence[Atoms], properties: Sequence[str]) -> list[dict[str, Any]]:
        """Return one dict per structure, in order; structures are not changed.

        Keys: ``energy`` (eV, total), ``forces`` (n, 3) in eV/Å, ``stress`` (6,) in eV/Å³, ASE's sign and Voigt order.
        """
        ...

    def calculator(self) -> Any:
        """Return the family's own ASE calculator for the same model."""
        ...


class Family(Protocol):
    """What a family's file offers."""

    NAME: str
    #: Import name of the package that must be there.
    PACKAGE: str
    #: Distributions whose version can change a number; the first is the family's own.
    DISTRIBUTIONS: tuple[str, ...]
    DTYPES: tuple[str, ...]
    #: Which files it needs, in words.
    NEEDS: str

    def default_batch_atoms(self, properties: Sequence[str]) -> int:
        """Return the atoms per batch that were fastest on one CPU thread."""
        ...

    def import_packages(self) -> None:
        """Import everything ``load`` needs; raises :class:`ImportError`."""
        ...

    def load(
        self, files: dict[str, Path], config: dict[str, Any], device: str, dtype: str, trusted: set[str]
    ) -> Potential:
        """Load the model.

        :param trusted: sha256 of files that may be unpickled, which is running their code.
        :raises JobError: with one sentence.
        """
        ...


def get_family(name: str) -> Family:
    """Return the family called ``name``; imports its file, not its packages."""
    if name in FAMILIES_NOT_YET:
        raise JobError(
            NOT_AVAILABLE, f"The family {name} is not available in this version; available are {', '.join(FAMILIES)}."
        )
    if name not in FAMILIES:
        raise JobError(BAD_JOB, f"The family {name!r} is unknown; choose from {', '.join(FAMILIES)}.")
    return cast(Family, importlib.import_module(f".{name}", __package__))


def refuse_config(name: str, config: dict[str, Any]) -> None:
    """Refuse any key of ``potential.config``, for families that take none."""
    if config:
        raise JobError(BAD_JOB, f"potential.config: the family {name} knows no key {', '.join(sorted(config))}.")
