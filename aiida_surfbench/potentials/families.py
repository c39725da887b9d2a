"""Which families of potentials there are, which of them this version runs, and what files each needs."""

from __future__ import annotations

from dataclasses import dataclass

#: Families that this version can run.
AVAILABLE_FAMILIES = ("chgnet", "m3gnet", "ase")
#: All families that the registry and the design know.
KNOWN_FAMILIES = (*AVAILABLE_FAMILIES, "mace", "sevennet", "nequip", "mtp")


@dataclass(frozen=True)
class FileSlot:
    """One file that a family needs.

    :ivar logical: the name under which it is stored and handed to the runner.
    :ivar patterns: how a file given by a user may be called.
    """

    logical: str
    patterns: tuple[str, ...]


#: What files each family needs; families without an entry are not described yet.
FAMILY_FILES: dict[str, tuple[FileSlot, ...]] = {
    "chgnet": (FileSlot("model.pth.tar", ("*.pth.tar", "*.pt")),),
    "m3gnet": (
        FileSlot("model.json", ("model.json",)),
        FileSlot("model.pt", ("model.pt",)),
        FileSlot("state.pt", ("state.pt",)),
    ),
    "ase": (),
    "mace": (FileSlot("mace.model", ("*.model", "*.pt")),),
    "sevennet": (FileSlot("checkpoint.pth", ("*.pth", "*.pt")),),
}


class RegistryError(ValueError):
    """A YAML of the registry, or a request to it, is not as it must be."""


class UnavailableFamilyError(RegistryError):
    """The family is unknown, or known but not runnable in this version."""


def check_available(family: str) -> None:
    """Raise unless this version can run the family.

    :raises UnavailableFamilyError: with a sentence that says whether the family is unknown or comes later.
    """
    if family in AVAILABLE_FAMILIES:
        return
    choice = f"this version runs {', '.join(AVAILABLE_FAMILIES)}"
    if family in KNOWN_FAMILIES:
        raise UnavailableFamilyError(f"the family {family} comes in a later version of aiida-surfbench; {choice}.")
    raise UnavailableFamilyError(f"there is no family {family!r}; {choice}.")
