"""An interatomic potential as a node: its weights, or a reference to them, and what is known of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from aiida.common.exceptions import ValidationError
from aiida.orm import FolderData

EMBEDDED = "embedded"
PACKAGE = "package"
PATH = "path"
STORAGES = (EMBEDDED, PACKAGE, PATH)

FILE_FOLDER = "files"


class PotentialData(FolderData):
    """One interatomic potential.

    Attributes:

    - ``family``: the runner's family that loads it; ``name``: what tables call it;
    - ``elements``: chemical symbols it was trained on, or ``None`` where unknown;
    - ``config``: what the family needs besides files (of the family ``ase``: ``factory`` and ``kwargs``);
    - ``storage``: ``embedded`` (the files are in this node), ``package`` (they ship in a Python package of the
      potential's environment) or ``path`` (they lie on the computer of the Code);
    - ``manifest``: by logical file name, ``path``, ``sha256`` (``None`` where unknown) and, for ``package``, the
      package; ``tree_sha256``: one hash over it all, ``None`` if a file's hash is unknown;
    - ``trusted``: digests of files that may be unpickled although they can run code;
    - ``facts``: what the registry knows of it.
    """

    def __init__(
        self,
        family: str,
        name: str,
        *,
        files: Mapping[str, Path] | None = None,
        references: Mapping[str, Mapping[str, Any]] | None = None,
        elements: Sequence[str] | None = None,
        config: Mapping[str, Any] | None = None,
        trusted: Sequence[str] = (),
        facts: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Build the node.

        :param files: weights to embed, by logical name.
        :param references: weights to refer to, by logical name: ``{"path": …, "sha256": …}`` with an absolute path on
            the Code's computer, or with ``package`` a path inside that package.
        :raises ValueError: if both files and references are given.
        """
        super().__init__(**kwargs)
        if files and references:
            raise ValueError("a potential's files are embedded or referred to, not both")
        storage = EMBEDDED
        manifest: dict[str, dict[str, Any]] = {}
        for logical, path in (files or {}).items():
            content = Path(path).read_bytes()
            self.base.repository.put_object_from_bytes(content, f"{FILE_FOLDER}/{logical}")
            manifest[logical] = {"path": f"{FILE_FOLDER}/{logical}", "sha256": hashlib.sha256(content).hexdigest()}
        for logical, reference in (references or {}).items():
            storage = PACKAGE if reference.get("package") else PATH
            manifest[logical] = {"sha256": None, **reference}
        self.base.attributes.set_many(
            {
                "family": family,
                "name": name,
                "elements": None if elements is None else list(elements),
                "config": dict(config or {}),
                "storage": storage,
                "manifest": manifest,
                "tree_sha256": _tree_sha256(manifest),
                "trusted": sorted(trusted),
                "facts": dict(facts or {}),
            }
        )

    def _validate(self) -> bool:
        super()._validate()
        attributes = self.base.attributes.all
        if not attributes["family"] or not attributes["name"]:
            raise ValidationError("a potential needs a family and a name")
        if attributes["storage"] not in STORAGES:
            raise ValidationError(f"storage must be one of {', '.join(STORAGES)}; got {attributes['storage']!r}")
        for logical, entry in attributes["manifest"].items():
            if "/" in logical or logical.startswith("."):
                raise ValidationError(f"{logical!r} is no plain file name")
            path = PurePosixPath(entry["path"])
            if (attributes["storage"] == PACKAGE) != bool(entry.get("package")):
                raise ValidationError(f"{logical}: refer to paths or to a package, not to both in one potential")
            if attributes["storage"] == PATH and not path.is_absolute():
                raise ValidationError(f"{logical}: a referred path must be absolute; got {entry['path']!r}")
            if attributes["storage"] == PACKAGE and path.is_absolute():
                raise ValidationError(f"{logical}: a path inside a package must be relative; got {entry['path']!r}")
            if ".." in path.parts:
                raise ValidationError(f"{logical}: the path {entry['path']!r} must not contain '..'")
        return True

    @property
    def family(self) -> str:
        """The runner's family that loads the potential."""
        return str(self.base.attributes.get("family"))

    @property
    def name(self) -> str:
        """What tables call the potential."""
        return str(self.base.attributes.get("name"))

    @property
    def elements(self) -> list[str] | None:
        """Chemical symbols it was trained on, ``None`` where unknown."""
        elements = self.base.attributes.get("elements")
        return None if elements is None else list(elements)

    @property
    def storage(self) -> str:
        """One of :data:`STORAGES`."""
        return str(self.base.attributes.get("storage"))

    @property
    def tree_sha256(self) -> str | None:
        """One hash over all files, ``None`` if a file's hash is unknown."""
        value = self.base.attributes.get("tree_sha256")
        return None if value is None else str(value)

    def job_description(self, folder: str) -> dict[str, Any]:
        """Return the potential as the runner's ``job.json`` wants it.

        :param folder: where embedded files lie, relative to the job's folder.
        """
        attributes = self.base.attributes.all
        files = {}
        for logical, entry in attributes["manifest"].items():
            files[logical] = dict(entry)
            if self.storage == EMBEDDED:
                files[logical]["path"] = f"{folder}/{logical}"
        return {
            "family": self.family,
            "name": self.name,
            "elements": attributes["elements"],
            "config": attributes["config"],
            "files": files,
            "trusted": attributes["trusted"],
        }

    def embedded_files(self) -> dict[str, str]:
        """Return the repository path of each embedded file, by logical name."""
        if self.storage != EMBEDDED:
            return {}
        return {logical: entry["path"] for logical, entry in self.base.attributes.get("manifest").items()}


def _tree_sha256(manifest: Mapping[str, Mapping[str, Any]]) -> str | None:
    if any(entry["sha256"] is None for entry in manifest.values()):
        return None
    lines = "\n".join(f"{logical} {manifest[logical]['sha256']}" for logical in sorted(manifest))
    return hashlib.sha256(lines.encode()).hexdigest()
