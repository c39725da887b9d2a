"""What the torch families share: the device, and reading a checkpoint without running its code."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..contract import DEVICE_UNAVAILABLE, POTENTIAL_UNREADABLE, WEIGHTS_UNTRUSTED, JobError
from ..files import sha256_of


def one_thread(device: str) -> None:
    """Keep torch to one thread on CPU."""
    import torch

    if device == "cpu":
        torch.set_num_threads(1)


def gpu_name() -> str:
    """Return the name of the GPU that torch sees.

    :raises JobError: ``device_unavailable`` if it sees none.
    """
    try:
        import torch
    except ImportError as error:
        raise JobError(
            DEVICE_UNAVAILABLE, f"execution.device is 'cuda', but torch cannot be imported here ({error})."
        ) from error
    if not torch.cuda.is_available():
        raise JobError(
            DEVICE_UNAVAILABLE,
            f"execution.device is 'cuda', but torch {torch.__version__} sees no GPU on this machine: "
            "ask the scheduler for one, install a torch with CUDA, or use 'cpu'.",
        )
    return str(torch.cuda.get_device_name(0))


def load_checkpoint(path: Path, trusted: set[str]) -> Any:
    """Load a torch checkpoint on the CPU with ``weights_only``, or with full unpickling where its digest is trusted.

    :raises JobError: ``weights_untrusted`` (with the digest) or ``potential_unreadable``.
    """
    import torch

    with path.open("rb") as handle:
        start = handle.read(1)
    if not zipfile.is_zipfile(path) and start != b"\x80":  # neither torch's zip format nor its older pickle
        raise JobError(POTENTIAL_UNREADABLE, f"{path.name} is no torch checkpoint, or a truncated one.")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        digest = sha256_of(path)
        if digest not in trusted:
            raise JobError(
                WEIGHTS_UNTRUSTED,
                f"{path.name} holds more than weights, so that loading it would run code from the file. "
                f"If you trust where it came from, say so with --trust {digest}",
            ) from None
    except Exception as error:  # a damaged archive raises many kinds; the reason is kept
        raise JobError(POTENTIAL_UNREADABLE, f"{path.name} cannot be read by torch: {_first_line(error)}") from error
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # unpickling runs foreign code, which may raise anything; the reason is kept
        raise JobError(POTENTIAL_UNREADABLE, f"{path.name} cannot be unpickled: {_first_line(error)}") from error


def voigt(stress: NDArray[Any]) -> NDArray[Any]:
    """Return a (3, 3) stress as (6,): xx, yy, zz, yz, xz, xy."""
    symmetric: NDArray[Any] = ((stress + stress.T) / 2)[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    return symmetric


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def unreadable(path: Path, what: str, error: BaseException) -> JobError:
    """Return the error for a file that was read but does not hold the model it should."""
    return JobError(POTENTIAL_UNREADABLE, f"{path.name} holds no {what} ({_first_line(error)}).")
