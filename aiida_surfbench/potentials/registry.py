"""The registry of known potentials: facts from one YAML each, and the checks of their files.

Numbers in the YAMLs are counted in the files or read where their ``source`` says; ``null`` where neither was possible.
"""

from __future__ import annotations

import difflib
import fnmatch
import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import yaml

from aiida_surfbench.potentials.families import (
    AVAILABLE_FAMILIES,
    FAMILY_FILES,
    KNOWN_FAMILIES,
    FileSlot,
    RegistryError,
    UnavailableFamilyError,
    check_available,
)
from aiida_surfbench.potentials.schema import (
    FUNCTIONALS,
    KnownFile,
    KnownPotential,
    Licence,
    Quote,
    Reference,
    TrainingSet,
    Weights,
    parse_known,
)

__all__ = [
    "AVAILABLE_FAMILIES",
    "FAMILY_FILES",
    "FUNCTIONALS",
    "KNOWN_FAMILIES",
    "FileSlot",
    "KnownFile",
    "KnownPotential",
    "Licence",
    "PotentialFileError",
    "Quote",
    "Reference",
    "RegistryError",
    "TrainingSet",
    "UnavailableFamilyError",
    "UnknownPotentialError",
    "Weights",
    "check_available",
    "check_files",
    "find_requirements",
    "find_wheel_files",
    "known_names",
    "load_known",
    "match_files",
    "parse_known",
    "sha256_file",
]

FOLDER = Path(__file__).parent


class UnknownPotentialError(RegistryError):
    """No known potential has that name."""


class PotentialFileError(ValueError):
    """Files given for a potential are not the ones it needs."""


def known_names() -> list[str]:
    """Return the names of all known potentials, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def load_known(name: str) -> KnownPotential:
    """Return the facts of one potential.

    :raises UnknownPotentialError: if no potential has that name.
    :raises RegistryError: if its YAML breaks the schema.
    """
    names = known_names()
    if name not in names:
        close = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(names)}."
        raise UnknownPotentialError(f"no known potential is called {name!r}: {hint}")
    path = FOLDER / f"{name}.yaml"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RegistryError(f"{path.name} is no YAML: {error}") from error
    return parse_known(document, name)


def find_requirements(family: str) -> Path:
    """Return the file with the pinned environment of a family, in the form that ``pip install -r`` takes.

    :raises RegistryError: if the family has none.
    """
    pinned = {path.stem: path for path in sorted((FOLDER / "requirements").glob("*.txt"))}
    if family not in pinned:
        raise RegistryError(
            f"no environment is pinned for the family {family!r}; there is one for {', '.join(pinned)}."
        )
    return pinned[family]


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_wheel_files(known: KnownPotential) -> dict[str, Path] | None:
    """Return the potential's files in an installed package, by logical name; the package is not imported.

    :returns: ``None`` if no package ships them or the package is not installed here.
    :raises PotentialFileError: if the package is installed but does not hold the file.
    """
    weights = known.weights
    if weights.package is None or weights.path is None:
        return None
    spec = importlib.util.find_spec(weights.package)
    if spec is None or not spec.submodule_search_locations:
        return None
    folders = [Path(folder) for folder in spec.submodule_search_locations]
    for folder in folders:
        if (folder / weights.path).is_file():
            return {next(iter(known.files)): folder / weights.path}
    raise PotentialFileError(
        f"{known.name}: the installed {weights.distribution} has no {weights.path} in {folders[0]}; "
        f"version {weights.tested_version} ships it."
    )


def match_files(known_or_family: KnownPotential | str, paths: Sequence[Path]) -> dict[str, Path]:
    """Assign the files that a user gives to the files that a family needs, by their names.

    A folder stands for the files in it that the family needs; others in it are passed over.

    :returns: the path of each needed file, by logical name.
    :raises PotentialFileError: naming the file that is missing, not needed, or given twice.
    :raises UnavailableFamilyError: if it is not known what files the family needs.
    """
    family = known_or_family if isinstance(known_or_family, str) else known_or_family.family
    if family not in FAMILY_FILES:
        check_available(family)
    slots = FAMILY_FILES[family]
    matched: dict[str, Path] = {}
    for path in _expand(slots, paths):
        slot = _slot_of(slots, path)
        if slot is None:
            raise PotentialFileError(f"{path} is no file of the family {family}, which needs {_needs(slots)}.")
        if slot.logical in matched:
            raise PotentialFileError(
                f"two files were given for {slot.logical} of the family {family}: {matched[slot.logical]} and {path}; "
                "give one."
            )
        matched[slot.logical] = path
    missing = [slot for slot in slots if slot.logical not in matched]
    if missing:
        given = ", ".join(str(path) for path in paths) or "nothing"
        raise PotentialFileError(
            f"the family {family} needs {_needs(slots)}: {_needs(missing)} is missing from what was given ({given})."
        )
    return {slot.logical: matched[slot.logical] for slot in slots}


def check_files(known: KnownPotential, files: Mapping[str, Path]) -> dict[str, str]:
    """Compare the sha256 of a potential's files with the recorded ones.

    A file without a recorded digest passes, unless it is recorded as a file of another known potential.

    :param files: paths by logical name, as :func:`match_files` and :func:`find_wheel_files` give them.
    :returns: the digests, by logical name.
    :raises PotentialFileError: naming the file, both digests and what to do.
    """
    if set(files) != set(known.files):
        raise PotentialFileError(
            f"{known.name} has the files {', '.join(known.files)}; got {', '.join(files) or 'none'}."
        )
    digests = {logical: sha256_file(path) for logical, path in files.items()}
    for logical, digest in digests.items():
        recorded = known.files[logical].known_sha256
        if digest in recorded:
            continue
        owners = _owners(digest)
        if owners:
            raise PotentialFileError(
                f"{files[logical]} (sha256 {digest}) is a file of {' and '.join(owners)}, not of {known.name} "
                f"({_recorded(recorded)}): install it under that name."
            )
        if recorded:
            raise PotentialFileError(
                f"{files[logical]} is not the recorded {logical} of {known.name}: its sha256 is {digest}, "
                f"{_recorded(recorded)}; get the file again, or install it under a label of your own, "
                f"naming the family {known.family}."
            )
    return digests


def _recorded(digests: Sequence[str]) -> str:
    return f"recorded is {' or '.join(digests)}" if digests else "no digest is recorded"


def _owners(digest: str) -> list[str]:
    potentials = [load_known(name) for name in known_names()]
    return [known.name for known in potentials if any(digest in file.known_sha256 for file in known.files.values())]


def _expand(slots: Sequence[FileSlot], paths: Sequence[Path]) -> list[Path]:
    expanded = []
    for path in map(Path, paths):
        if path.is_dir():
            expanded.extend(sorted(entry for entry in path.iterdir() if entry.is_file() and _slot_of(slots, entry)))
        elif path.is_file():
            expanded.append(path)
        else:
            raise PotentialFileError(f"{path} does not exist.")
    return expanded


def _slot_of(slots: Sequence[FileSlot], path: Path) -> FileSlot | None:
    for slot in slots:
        if any(fnmatch.fnmatchcase(path.name, pattern) for pattern in slot.patterns):
            return slot
    return None


def _needs(slots: Sequence[FileSlot]) -> str:
    return ", ".join(" or ".join(slot.patterns) for slot in slots) or "no file"
