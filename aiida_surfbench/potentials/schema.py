"""The schema of a known potential's YAML: the typed facts, and a reader that refuses what does not fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiida_surfbench.potentials.families import AVAILABLE_FAMILIES, FAMILY_FILES, RegistryError

FUNCTIONALS = ("PBE(+U)", "r2SCAN")


@dataclass(frozen=True)
class Quote:
    """A number as the literature gives it, beside the counted one."""

    value: str
    source: str


@dataclass(frozen=True)
class TrainingSet:
    """What a potential was trained on; ``n_structures`` is ``None`` where no source gives it."""

    name: str
    n_structures: int | None
    source: str


@dataclass(frozen=True)
class Licence:
    """The licence of the weights: an SPDX identifier, ``None`` where uncertain, and where it was read."""

    spdx: str | None
    source: str


@dataclass(frozen=True)
class KnownFile:
    """One file of a potential.

    :ivar known_sha256: digests of genuine files; empty where none is recorded. One potential can have several, for
        the same weights are written anew by some releases.
    :ivar size: bytes of the first of them, or ``None``.
    """

    known_sha256: tuple[str, ...]
    size: int | None


@dataclass(frozen=True)
class Weights:
    """Where the weights come from: a path inside an installable package, or a download, described for a person."""

    distribution: str | None = None
    package: str | None = None
    path: str | None = None
    tested_version: str | None = None
    download: str | None = None


@dataclass(frozen=True)
class Reference:
    """A publication."""

    doi: str
    citation: str


@dataclass(frozen=True)
class KnownPotential:
    """The facts of one potential.

    :ivar n_parameters: elements of all parameter tensors of the model, frozen ones included, buffers not; ``None``
        where it could not be counted. ``n_parameters_source`` says in what it was counted.
    :ivar parameters_quoted: the numbers of the literature, where it has some.
    :ivar functional: one of :data:`FUNCTIONALS`.
    :ivar elements: chemical symbols it was trained on, by atomic number; ``None`` where unknown.
    :ivar cutoff_a: radius of the neighbour list in Å, ``None`` where unknown.
    :ivar files: by logical name, see :data:`FAMILY_FILES`.
    :ivar loads_weights_only: whether torch's restricted loader accepts the files; ``None`` where not tried.
    :ivar notes: what a user should know besides, one sentence each.
    """

    name: str
    family: str
    version: str
    title: str
    architecture: str
    n_parameters: int | None
    n_parameters_source: str | None
    parameters_quoted: tuple[Quote, ...]
    training_set: TrainingSet
    functional: str
    licence: Licence
    elements: tuple[str, ...] | None
    elements_source: str | None
    cutoff_a: float | None
    files: Mapping[str, KnownFile]
    weights: Weights
    loads_weights_only: bool | None
    references: tuple[Reference, ...]
    notes: tuple[str, ...]

    @property
    def available(self) -> bool:
        """Whether this version can run its family."""
        return self.family in AVAILABLE_FAMILIES

    def facts(self) -> dict[str, Any]:
        """Return the facts as JSON can hold them, for a node's attributes."""
        return {key: _plain(value) for key, value in asdict(self).items()}


def parse_known(document: Any, name: str) -> KnownPotential:
    """Return the potential that a YAML describes.

    :param document: what the YAML holds.
    :param name: the name of the file, without its suffix.
    :raises RegistryError: naming the key that is unknown, missing or of the wrong kind.
    """
    top = _Section(document, name)
    if top.text("name") != name:
        raise RegistryError(f"{name}: the key name is {top.text('name')!r}, unlike the file's name.")
    training, licence = top.section("training_set"), top.section("licence")
    known = KnownPotential(
        name=name,
        family=top.choice("family", tuple(FAMILY_FILES)),
        version=top.text("version"),
        title=top.text("title"),
        architecture=top.text("architecture"),
        n_parameters=top.number("n_parameters"),
        n_parameters_source=top.optional_text("n_parameters_source"),
        parameters_quoted=tuple(
            Quote(value=item.text("value"), source=item.text("source")) for item in top.sections("parameters_quoted")
        ),
        training_set=TrainingSet(training.text("name"), training.number("n_structures"), training.text("source")),
        functional=top.choice("functional", FUNCTIONALS),
        licence=Licence(licence.optional_text("spdx"), licence.text("source")),
        elements=top.texts("elements") if top.value("elements") is not None else None,
        elements_source=top.optional_text("elements_source"),
        cutoff_a=_positive(top, "cutoff_a"),
        files=_files(top.section("files")),
        weights=_weights(top.section("weights")),
        loads_weights_only=_flag(top, "loads_weights_only"),
        references=tuple(Reference(item.text("doi"), item.text("citation")) for item in top.sections("references")),
        notes=top.texts("notes"),
    )
    top.close()
    _check_consistent(known)
    return known


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _files(section: _Section) -> dict[str, KnownFile]:
    files = {}
    for logical in section.names():
        entry = section.section(logical)
        files[logical] = KnownFile(entry.texts("known_sha256"), entry.number("size"))
        for digest in files[logical].known_sha256:
            if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
                raise RegistryError(f"{entry.where}: {digest!r} is no sha256.")
    return files


def _weights(section: _Section) -> Weights:
    if "download" in section.names():
        return Weights(download=section.text("download"))
    return Weights(
        distribution=section.text("distribution"),
        package=section.text("package"),
        path=section.text("path"),
        tested_version=section.text("tested_version"),
    )


def _positive(section: _Section, key: str) -> float | None:
    value = section.value(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise RegistryError(f"{section.where}: {key} must be a positive number or null; got {value!r}.")
    return float(value)


def _flag(section: _Section, key: str) -> bool | None:
    value = section.value(key)
    if value is not None and not isinstance(value, bool):
        raise RegistryError(f"{section.where}: {key} must be true, false or null; got {value!r}.")
    return value


def _check_consistent(known: KnownPotential) -> None:
    slots = [slot.logical for slot in FAMILY_FILES[known.family]]
    if list(known.files) != slots:
        raise RegistryError(f"{known.name}: files must be {', '.join(slots)} for the family {known.family}.")
    if known.weights.package is not None and len(slots) != 1:
        raise RegistryError(f"{known.name}: weights from a package are one file, the family {known.family} needs more.")
    for value, source in (("n_parameters", "n_parameters_source"), ("elements", "elements_source")):
        if (getattr(known, value) is None) != (getattr(known, source) is None):
            raise RegistryError(f"{known.name}: {value} and {source} are both given or both null.")


class _Section:
    """A mapping of a YAML, which must be read to the last key and have every key that is read."""

    def __init__(self, document: Any, where: str) -> None:
        if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
            raise RegistryError(f"{where} must be a mapping with text keys.")
        self.where = where
        self._document: dict[str, Any] = document
        self._read: set[str] = set()
        self._children: list[_Section] = []

    def names(self) -> list[str]:
        return list(self._document)

    def value(self, key: str) -> Any:
        if key not in self._document:
            raise RegistryError(f"{self.where}: the key {key} is missing.")
        self._read.add(key)
        return self._document[key]

    def text(self, key: str) -> str:
        value = self.value(key)
        if not isinstance(value, str) or not value.strip():
            raise RegistryError(f"{self.where}: {key} must be a text; got {value!r}.")
        return value

    def optional_text(self, key: str) -> str | None:
        return None if self.value(key) is None else self.text(key)

    def choice(self, key: str, choices: Sequence[str]) -> str:
        value = self.text(key)
        if value not in choices:
            raise RegistryError(f"{self.where}: {key} must be one of {', '.join(choices)}; got {value!r}.")
        return value

    def number(self, key: str) -> int | None:
        value = self.value(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise RegistryError(f"{self.where}: {key} must be a whole number of at least 1 or null; got {value!r}.")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.value(key)
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise RegistryError(f"{self.where}: {key} must be a list of texts; got {value!r}.")
        if len(set(value)) != len(value):
            raise RegistryError(f"{self.where}: {key} names something twice.")
        return tuple(value)

    def section(self, key: str) -> _Section:
        child = _Section(self.value(key), f"{self.where}.{key}")
        self._children.append(child)
        return child

    def sections(self, key: str) -> list[_Section]:
        value = self.value(key)
        if not isinstance(value, list):
            raise RegistryError(f"{self.where}: {key} must be a list; got {value!r}.")
        children = [_Section(item, f"{self.where}.{key}[{position}]") for position, item in enumerate(value)]
        self._children.extend(children)
        return children

    def close(self) -> None:
        """Refuse keys that nobody asked for, here and in all sections below."""
        unknown = sorted(set(self._document) - self._read)
        if unknown:
            raise RegistryError(f"{self.where} has unknown keys: {', '.join(unknown)}.")
        for child in self._children:
            child.close()
