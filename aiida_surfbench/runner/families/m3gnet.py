"""M3GNet as matgl 4 stores it: a folder with model.json, model.pt and state.pt."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units

from ..contract import BAD_JOB, POTENTIAL_UNREADABLE, JobError
from . import refuse_config
from ._torch import load_checkpoint, one_thread, unreadable, voigt

NAME = "m3gnet"
PACKAGE = "matgl"
#: nvalchemi-toolkit-ops: where it is installed, matgl takes its neighbour list from it.
DISTRIBUTIONS = (
    "matgl",
    "torch",
    "torch-geometric",
    "nvalchemi-toolkit-ops",
    "pymatgen",
    "pymatgen-core",
    "numpy",
    "ase",
)
DTYPES = ("native", "float32")
NEEDS = "the files model.json, model.pt and state.pt"
_FILES = ("model.json", "model.pt", "state.pt")


def default_batch_atoms(properties: Sequence[str]) -> int:
    """With or without forces, 200 atoms were fastest on one thread; more only takes more memory."""
    return 200


def import_packages() -> None:
    """Import matgl, torch and torch_geometric."""
    import matgl.ext.ase  # noqa: F401


class M3gnetPotential:
    """A loaded M3GNet."""

    dtype = "float32"

    def __init__(self, potential: Any, device: str) -> None:
        from matgl.ext.ase import Atoms2Graph

        self._potential = potential
        self._device = device
        self.cutoff: float | None = float(potential.model.cutoff)
        self.elements: frozenset[str] | None = frozenset(potential.model.element_types)
        self._converter = Atoms2Graph(tuple(potential.model.element_types), potential.model.cutoff)

    def predict(self, structures: Sequence[Atoms], properties: Sequence[str]) -> list[dict[str, Any]]:
        """See :class:`..families.Potential`."""
        import torch
        from torch_geometric.data import Batch

        potential = copy.copy(self._potential)  # shares the weights; the flags below stay here
        potential.calc_stresses = "stress" in properties
        potential.calc_forces = len(properties) > 1  # matgl gives no stress without forces
        graphs, lattices, states = zip(*(self._converter.get_graph(atoms) for atoms in structures))
        lattice = torch.cat([item.reshape(1, 3, 3) for item in lattices]).to(self._device)
        state = torch.from_numpy(np.stack(states)).to(self._device)
        batch = Batch.from_data_list(list(graphs)).to(self._device)
        with torch.set_grad_enabled(potential.calc_forces):
            energies, forces, stresses, *_ = potential(batch, lattice, state)
        # One structure gives a scalar energy.
        results: list[dict[str, Any]] = [{"energy": float(item)} for item in energies.detach().reshape(-1).cpu()]
        if "forces" in properties:
            ends = np.cumsum([len(atoms) for atoms in structures])[:-1]
            for result, item in zip(results, np.split(forces.detach().cpu().numpy(), ends)):
                result["forces"] = item
        if "stress" in properties:
            for result, item in zip(results, stresses.detach().cpu().numpy().reshape(-1, 3, 3)):
                result["stress"] = voigt(item * units.GPa)
        return results

    def calculator(self) -> Any:
        """See :class:`..families.Potential`."""
        from matgl.ext.ase import PESCalculator

        return PESCalculator(self._potential, stress_unit="eV/A3", use_voigt=True)


def load(files: dict[str, Path], config: dict[str, Any], device: str, dtype: str, trusted: set[str]) -> M3gnetPotential:
    """See :class:`..families.Family`."""
    from matgl.apps.pes import Potential

    refuse_config(NAME, config)
    paths = {name.rsplit("/", 1)[-1]: path for name, path in files.items()}
    missing = [name for name in _FILES if name not in paths]
    if missing:
        raise JobError(BAD_JOB, f"potential.files: the family m3gnet needs {NEEDS}; missing: {', '.join(missing)}.")
    one_thread(device)
    _check_classes(paths, trusted)
    try:
        potential = Potential.load({name: paths[name] for name in _FILES})
    except Exception as error:  # whatever matgl makes of files that are no M3GNet; the reason is kept
        raise unreadable(paths["model.pt"], "M3GNet potential", error) from error
    return M3gnetPotential(potential.to(device).eval(), device)


def _check_classes(paths: dict[str, Path], trusted: set[str]) -> None:
    """Refuse files that name foreign classes: matgl imports and calls whatever module and class a file names."""
    try:
        description = json.loads(paths["model.json"].read_text(encoding="utf-8"))
    except ValueError as error:
        raise unreadable(paths["model.json"], "description of a model", error) from error
    arguments = load_checkpoint(paths["model.pt"], trusted)
    if not isinstance(description, dict) or not isinstance(arguments, dict):
        raise JobError(POTENTIAL_UNREADABLE, f"{paths['model.pt'].name} holds no M3GNet potential.")
    nested = [description, *(description.get("kwargs") or {}).values(), *arguments.values()]
    for entry in nested:
        if not isinstance(entry, dict) or "@module" not in entry:
            continue
        module, name = str(entry["@module"]), str(entry.get("@class"))
        if not module.startswith("matgl."):
            raise JobError(POTENTIAL_UNREADABLE, f"The potential names the module {module!r}, which is not matgl's.")
        if name not in ("Potential", "M3GNet"):
            raise JobError(
                POTENTIAL_UNREADABLE, f"The potential is a {name} of matgl; this version runs matgl's M3GNet only."
            )
