"""Finding a potential's files and verifying their digests before anything opens them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from .contract import WEIGHTS_ALTERED, WEIGHTS_MISSING, JobError
from .files import sha256_of
from .job import PotentialFile


def resolve(files: dict[str, PotentialFile], folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Return where the files are and their sha256, both by logical name.

    :param folder: the job folder, which relative paths start from.
    :raises JobError: ``weights_missing``, or ``weights_altered`` naming both digests.
    """
    paths = {name: _locate(name, file, folder) for name, file in files.items()}
    digests = {}
    for name, path in paths.items():
        try:
            digests[name] = sha256_of(path)
        except OSError as error:
            raise JobError(
                WEIGHTS_MISSING, f"The potential's file {name} is not readable at {path}: {error.strerror}."
            ) from error
        expected = files[name].sha256
        if expected is not None and digests[name] != expected:
            raise JobError(
                WEIGHTS_ALTERED,
                f"The potential's file {name} at {path} has sha256 {digests[name]}, but {expected} was expected: "
                "it was changed or replaced since the potential was stored.",
            )
    return paths, digests


def _locate(name: str, file: PotentialFile, folder: Path) -> Path:
    if file.package is None:
        return folder / file.path  # an absolute path replaces the folder
    spec = importlib.util.find_spec(file.package)  # does not import a top-level package
    locations = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not locations:
        raise JobError(
            WEIGHTS_MISSING,
            f"The potential's file {name} ships in the package {file.package}, which this environment lacks: "
            "install it, or embed the weights in the potential.",
        )
    return Path(locations[0]) / file.path
