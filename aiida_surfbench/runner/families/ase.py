"""Any ASE calculator that an importable callable returns."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ase import Atoms

from ..contract import BAD_JOB, FAMILY_NOT_INSTALLED, NOT_AVAILABLE, POTENTIAL_UNREADABLE, JobError

NAME = "ase"
PACKAGE = "ase"
#: With the packages behind the usual calculators; those that are absent do not count.
DISTRIBUTIONS = (
    "ase",
    "numpy",
    "scipy",
    "torch",
    "chgnet",
    "matgl",
    "mace-torch",
    "e3nn",
    "sevenn",
    "nequip",
    "motep",
    "tblite",
    "mattersim",
    "orb-models",
    "fairchem-core",
)
DTYPES = ("native",)
NEEDS = "none, or those that config.kwargs names as {'$file': NAME}"


def default_batch_atoms(properties: Sequence[str]) -> int:
    """Calculators take one structure at a time."""
    return 1


def import_packages() -> None:
    """Import ase."""
    import ase.calculators.calculator  # noqa: F401


class AsePotential:
    """A calculator and how to ask it."""

    dtype = "native"
    #: Calculators have no common way to tell either.
    cutoff: float | None = None
    elements: frozenset[str] | None = None

    def __init__(self, make: Callable[[], Any], packages: dict[str, str]) -> None:
        self._make = make
        #: Name and version of what the calculator comes from, beyond :data:`DISTRIBUTIONS`.
        self.packages = packages
        self._calculator = make()

    def predict(self, structures: Sequence[Atoms], properties: Sequence[str]) -> list[dict[str, Any]]:
        """See :class:`..families.Potential`."""
        return [self._one(atoms, properties) for atoms in structures]

    def _one(self, atoms: Atoms, properties: Sequence[str]) -> dict[str, Any]:
        try:
            return self._ask(atoms, properties)
        except MemoryError:
            raise
        except Exception:  # the second try raises it again if it is the structure's fault
            # A calculator that raised may answer nothing any more (ASE's EMT is one): the next gets a new one.
            self._calculator = self._make()
        return self._ask(atoms, properties)

    def _ask(self, atoms: Atoms, properties: Sequence[str]) -> dict[str, Any]:
        copy = atoms.copy()  # type: ignore[no-untyped-call]
        copy.calc = self._calculator
        result: dict[str, Any] = {"energy": float(copy.get_potential_energy())}
        if "forces" in properties:
            result["forces"] = copy.get_forces(apply_constraint=False)
        if "stress" in properties:
            result["stress"] = copy.get_stress(voigt=True, apply_constraint=False)
        return result

    def calculator(self) -> Any:
        """See :class:`..families.Potential`."""
        return self._make()


def load(files: dict[str, Path], config: dict[str, Any], device: str, dtype: str, trusted: set[str]) -> AsePotential:
    """See :class:`..families.Family`; ``config`` is ``{"factory": "module:callable", "kwargs": {...}}``."""
    unknown = sorted(set(config) - {"factory", "kwargs"})
    if unknown:
        raise JobError(BAD_JOB, f"potential.config has unknown keys {', '.join(unknown)}; known are factory, kwargs.")
    factory, kwargs = config.get("factory"), config.get("kwargs") or {}
    if not isinstance(factory, str) or factory.count(":") != 1:
        raise JobError(BAD_JOB, f"potential.config.factory must be 'module:callable'; got {factory!r}.")
    if not isinstance(kwargs, dict):
        raise JobError(BAD_JOB, f"potential.config.kwargs must be an object; got {kwargs!r}.")
    told = [key for key, value in kwargs.items() if value == {"$device": True}]
    if device != "cpu" and not told:
        raise JobError(
            NOT_AVAILABLE,
            f"execution.device is {device!r}, but {factory} is not told so: in potential.config.kwargs, give the "
            'argument that takes the device the value {"$device": true}.',
        )
    arguments = {key: device if key in told else _with_path(key, value, files) for key, value in kwargs.items()}
    callable_ = _find(factory)

    def make() -> Any:
        try:
            calculator = callable_(**arguments)
        except Exception as error:  # a factory may raise anything; the reason is kept
            raise JobError(POTENTIAL_UNREADABLE, f"{factory} failed: {type(error).__name__}: {error}.") from error
        if not callable(getattr(calculator, "get_potential_energy", None)):
            raise JobError(POTENTIAL_UNREADABLE, f"{factory} returned {type(calculator).__name__}, no ASE calculator.")
        return calculator

    return AsePotential(make, _distributions(factory))


def _distributions(factory: str) -> dict[str, str]:
    """Return name and version of what the factory's module comes from, as far as Python (>= 3.10) can tell."""
    owners: dict[str, list[str]] = getattr(metadata, "packages_distributions", dict)()
    names = owners.get(factory.split(":", maxsplit=1)[0].split(".", maxsplit=1)[0], [])
    return {name: metadata.version(name) for name in names}


def _find(factory: str) -> Any:
    module, name = factory.split(":")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise JobError(
            FAMILY_NOT_INSTALLED, f"potential.config.factory: {module} cannot be imported here ({error})."
        ) from error
    if not callable(found):
        raise JobError(POTENTIAL_UNREADABLE, f"potential.config.factory: {module} has no callable {name!r}.")
    return found


def _with_path(key: str, value: Any, files: dict[str, Path]) -> Any:
    if not isinstance(value, dict) or set(value) != {"$file"}:
        return value
    if value["$file"] not in files:
        raise JobError(
            BAD_JOB,
            f"potential.config.kwargs.{key} names the file {value['$file']!r}; the potential has "
            f"{', '.join(files) or 'none'}.",
        )
    return str(files[value["$file"]])
