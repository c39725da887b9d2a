"""What comes into a profile from outside: structure sets, potentials, Codes. Stored here, with checks, and found again.

Errors of the user are :class:`IngestionError` or those of the formats and the registry; each message says what to do.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from aiida import load_profile
from aiida.common.exceptions import MultipleObjectsError, NotExistent
from aiida.manage import get_manager
from aiida.manage.configuration import create_profile, get_config
from aiida.orm import Computer, Data, InstalledCode, QueryBuilder, load_code, load_computer, load_node

from .data.potential import PotentialData
from .data.structure_set import SurfaceSetData
from .formats.pickle_scan import scan_pickle
from .formats.structure_set import StructureRecord, set_sha256
from .potentials import registry
from .sources.demo import DEMO_DESCRIPTION, demo_records
from .sources.extxyz import read_surface_set

DEMO_PROFILE = "surfbench-demo"
DEMO_DATASET = "demo"

NodeT = TypeVar("NodeT", bound=Data)


class IngestionError(ValueError):
    """Something cannot be taken into the profile; the message says what to do."""


def find_labelled(cls: type[NodeT], label: str) -> NodeT | None:
    """Return the newest node of a class with a label, or ``None``."""
    query = QueryBuilder().append(cls, filters={"label": label}, tag="node").order_by({"node": {"id": "desc"}})
    return query.first(flat=True)


def load_labelled(cls: type[NodeT], identifier: str, what: str) -> NodeT:
    """Return the node a label, pk or uuid names.

    :param what: how messages call such a node.
    :raises IngestionError: if there is none, or it is something else.
    """
    node = find_labelled(cls, identifier)
    if node is not None:
        return node
    try:
        found = load_node(identifier)
    except (NotExistent, MultipleObjectsError, ValueError):  # a label may be that of other nodes
        raise IngestionError(
            f"There is no {what} {identifier!r} in the profile; `aiida-surfbench {what} list` shows what there is."
        ) from None
    if not isinstance(found, cls):
        raise IngestionError(f"Node {identifier} is no {what} but a {type(found).__name__}.")
    return found


def import_surface_set(path: str | Path, label: str, references: bool = True) -> SurfaceSetData:
    """Store a structure-set file as a surface set.

    :param references: whether the file must bring DFT references.
    :raises StructureSetError: if the file is not valid.
    :raises IngestionError: if the label is taken, or the same content is there already.
    """
    path = Path(path)
    _check_free(SurfaceSetData, label, "dataset")
    records = read_surface_set(path, references=references)
    return store_surface_set(records, label, {"kind": "extxyz", "file": path.name}, references=references)


def store_surface_set(
    records: Iterable[StructureRecord], label: str, source: Mapping[str, Any], references: bool = True
) -> SurfaceSetData:
    """Store records as a surface set under a label; see :func:`import_surface_set`."""
    _check_free(SurfaceSetData, label, "dataset")
    node = SurfaceSetData(records, dict(source), references=references)
    query = QueryBuilder().append(SurfaceSetData, filters={"attributes.sha256": node.sha256})
    same = query.first(flat=True)
    if same is not None:
        raise IngestionError(
            f"The same structures with the same references are in the profile already: {same.label!r} <{same.pk}>. "
            "Use that one."
        )
    node.label = label
    node.store()
    return node


def install_known_potential(
    name: str,
    paths: Sequence[Path] = (),
    *,
    label: str | None = None,
    trust: Sequence[str] = (),
    reference: bool = False,
) -> PotentialData:
    """Store a potential of the registry.

    :param paths: its weights; without them they are taken from the installed package that ships them.
    :param trust: sha256 digests of files that may be unpickled although they can run code.
    :param reference: refer to the package instead of embedding the weights.
    :raises UnknownPotentialError: if the registry does not know it.
    :raises PotentialFileError: if the files are not the recorded ones.
    :raises UnavailableFamilyError: if its family is not available yet.
    :raises IngestionError: if weights are missing or not trusted.
    """
    known = registry.load_known(name)
    registry.check_available(known.family)
    label = known.name if label is None else label
    _check_free(PotentialData, label, "potential")
    facts = known.facts()
    if reference:
        references = _package_references(known, given=bool(paths))
        return _store(PotentialData(known.family, label, references=references, elements=known.elements, facts=facts))
    shipped = None if paths else registry.find_wheel_files(known)
    files = shipped or registry.match_files(known, _paths_or_refusal(known, paths))
    registry.check_files(known, files)
    trusted = [] if shipped else _trusted(files, trust)
    return _store(
        PotentialData(known.family, label, files=files, elements=known.elements, trusted=trusted, facts=facts)
    )


def _package_references(known: registry.KnownPotential, given: bool) -> dict[str, dict[str, Any]]:
    if known.weights.package is None or given:
        raise IngestionError(
            f"{known.name}: --reference is for weights that ship in a package, without --file; "
            "give files to embed them."
        )
    return {
        logical: {
            "package": known.weights.package,
            "path": known.weights.path,
            "sha256": file.known_sha256[0] if len(file.known_sha256) == 1 else None,
        }
        for logical, file in known.files.items()
    }


def _paths_or_refusal(known: registry.KnownPotential, paths: Sequence[Path]) -> list[Path]:
    if paths:
        return list(paths)
    where = known.weights.download
    if where is None:
        where = f"They ship in the package {known.weights.distribution}: install it in this environment"
    else:
        where = f"Get them from {where}"
    raise IngestionError(f"{known.name}: the weights are not on this machine. {where}, or give them with --file PATH.")


def install_potential(
    family: str,
    label: str,
    *,
    paths: Sequence[Path] = (),
    config: Mapping[str, Any] | None = None,
    elements: Sequence[str] | None = None,
    trust: Sequence[str] = (),
) -> PotentialData:
    """Store a potential the registry does not know.

    :param family: the runner's family that loads it.
    :param config: of the family ``ase``: ``factory`` (``module:callable``) and ``kwargs``.
    :param elements: chemical symbols it was trained on; without them the elements of structures are not checked.
    :raises IngestionError: as :func:`install_known_potential`.
    """
    registry.check_available(family)
    _check_free(PotentialData, label, "potential")
    if family == "ase":
        factory = (config or {}).get("factory", "")
        if factory.count(":") != 1 or not all(factory.split(":")):
            raise IngestionError("The family ase needs --factory module:callable, for example ase.calculators.emt:EMT.")
        files = _named_files(paths)
    else:
        files = registry.match_files(family, list(paths))
    trusted = _trusted(files, trust)
    return _store(PotentialData(family, label, files=files, config=config, elements=elements, trusted=trusted))


def _named_files(paths: Sequence[Path]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in map(Path, paths):
        if not path.is_file():
            raise IngestionError(f"--file: {path} is not a file.")
        if path.name in files:
            raise IngestionError(f"--file: {files[path.name]} and {path} have the same name; rename one.")
        files[path.name] = path
    return files


def load_demo_profile() -> None:
    """Load the profile of the demo; make it where it is missing, without touching the default profile."""
    config = get_config(create=True)
    if DEMO_PROFILE not in config.profile_names:
        create_profile(
            config,
            name=DEMO_PROFILE,
            email="demo@localhost",
            storage_backend="core.sqlite_dos",
            storage_config={"filepath": str(Path(config.dirpath) / "repository" / DEMO_PROFILE)},
            broker_backend="core.zeromq",
            broker_config={},
        )
    load_profile(DEMO_PROFILE, allow_switch=True)


def demo_dataset() -> SurfaceSetData:
    """Return the embedded structure set as a node of the loaded profile, stored where it is missing."""
    records = demo_records()
    digest = set_sha256(record.row() for record in records)
    query = QueryBuilder().append(SurfaceSetData, filters={"attributes.sha256": digest})
    node: SurfaceSetData | None = query.first(flat=True)
    if node is None:
        taken = find_labelled(SurfaceSetData, DEMO_DATASET) is not None  # by another set, or an older version's
        label = f"{DEMO_DATASET}-{digest[:8]}" if taken else DEMO_DATASET
        node = store_surface_set(records, label, {"kind": "demo", **DEMO_DESCRIPTION})
    return node


def get_localhost() -> Computer:
    """Return the computer ``localhost``, made and configured if the profile has none."""
    try:
        return load_computer("localhost")
    except NotExistent:
        pass
    profile = get_manager().get_profile()
    name = profile.name if profile else "surfbench"
    work = Path(get_manager().get_config().dirpath) / "scratch" / name
    computer = Computer(
        label="localhost",
        hostname="localhost",
        description="This machine; jobs run at once, without a queue",
        transport_type="core.local",
        scheduler_type="core.direct",
        workdir=str(work),
    ).store()
    computer.configure(use_login_shell=False, safe_interval=0)
    computer.set_minimum_job_poll_interval(1)
    computer.set_default_mpiprocs_per_machine(1)
    return computer


def get_code(
    label: str | None = None, python: str | None = None, computer: Computer | None = None, prepend_text: str = ""
) -> InstalledCode:
    """Return the Code of a Python, made if the profile has none.

    :param label: by default made from the path.
    :param python: absolute path on the computer; by default the Python that runs this.
    :param computer: by default ``localhost``.
    :raises IngestionError: if the label belongs to a Code of another Python.
    """
    computer = computer or get_localhost()
    if not computer.is_configured:
        raise IngestionError(
            f"The computer {computer.label} is not configured: run `verdi computer configure {computer.transport_type} "
            f"{computer.label}` first."
        )
    python = python or sys.executable
    label = label or f"python-{hashlib.sha256(python.encode()).hexdigest()[:8]}"
    if "@" in label or not label.strip():
        raise IngestionError(f"{label!r} is no Code label: no '@', not empty; the computer is given by --computer.")
    try:
        code = cast(InstalledCode, load_code(f"{label}@{computer.label}"))
    except NotExistent:
        if not python.startswith("/"):
            raise IngestionError(f"--python must be an absolute path on {computer.label}; got {python!r}.") from None
        if computer.transport_type == "core.local" and not Path(python).is_file():
            raise IngestionError(f"--python: there is no file {python}.") from None
        code = InstalledCode(
            computer=computer,
            filepath_executable=python,
            label=label,
            description="Python of a potential's environment",
            default_calc_job_plugin="surfbench.predict",
            prepend_text=prepend_text,
        ).store()
    if str(code.filepath_executable) != python or code.prepend_text != prepend_text:
        raise IngestionError(
            f"The Code {code.full_label} exists with another Python or prepend text ({code.filepath_executable}); "
            f"choose another label, or delete that one with `verdi code delete {code.full_label}`."
        )
    return code


def _store(node: PotentialData) -> PotentialData:
    node.label = node.name
    node.store()
    return node


def _check_free(cls: type[Data], label: str, what: str) -> None:
    if not label.strip():
        raise IngestionError(f"The label of a {what} must not be empty.")
    taken = find_labelled(cls, label)
    if taken is not None:
        raise IngestionError(f"The label {label!r} belongs to a {what} already <{taken.pk}>; choose another.")


def _trusted(files: Mapping[str, Path], trust: Sequence[str]) -> list[str]:
    """Return the digests that need trust and have it; refuse those that need it and have it not."""
    trusted = []
    for path in files.values():
        scan = scan_pickle(path)
        if not scan.requires_trust:
            continue
        if scan.sha256 not in trust:
            raise IngestionError(
                f"{path} can run code when it is loaded: {scan.reasons()}. "
                f"If you trust where it came from, repeat with --trust {scan.sha256}"
            )
        trusted.append(scan.sha256)
    unused = sorted(set(trust) - set(trusted))
    if unused:
        raise IngestionError(f"--trust {unused[0]} is the digest of no file that needs trust; leave it out.")
    return trusted
