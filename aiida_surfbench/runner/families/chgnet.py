"""CHGNet. Energies are per atom and stresses in GPa inside the package; here they leave as eV and eV/Å³."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ase import Atoms, units
from ase.data import chemical_symbols

from ..contract import BAD_JOB, JobError
from . import refuse_config
from ._torch import load_checkpoint, one_thread, unreadable, voigt

NAME = "chgnet"
PACKAGE = "chgnet"
DISTRIBUTIONS = ("chgnet", "torch", "pymatgen", "pymatgen-core", "numpy", "ase")
DTYPES = ("native", "float32")
NEEDS = "one file *.pth.tar (or .pt, .pth, .tar)"


def default_batch_atoms(properties: Sequence[str]) -> int:
    """Energy only, 200 was fastest on one thread; with derivatives a slab takes over 1 GB, so one at a time."""
    return 1 if len(properties) > 1 else 200


def import_packages() -> None:
    """Import chgnet, torch and pymatgen."""
    import chgnet.model.dynamics  # noqa: F401


class ChgnetPotential:
    """A loaded CHGNet."""

    dtype = "float32"
    elements: frozenset[str] | None = None

    def __init__(self, model: Any, device: str) -> None:
        self._model = model
        self._device = device
        # chgnet would only print a line about isolated atoms; the checks have refused them before.
        model.graph_converter.set_isolated_atom_response("error")
        self.cutoff: float | None = float(model.graph_converter.atom_graph_cutoff)

    def _graph(self, atoms: Atoms) -> Any:
        from pymatgen.core.lattice import Lattice
        from pymatgen.core.structure import Structure

        lattice = Lattice(atoms.cell.array)
        symbols = [chemical_symbols[number] for number in atoms.numbers]
        structure = Structure(lattice, symbols, atoms.positions, coords_are_cartesian=True)
        return self._model.graph_converter(structure)

    def predict(self, structures: Sequence[Atoms], properties: Sequence[str]) -> list[dict[str, Any]]:
        """See :class:`..families.Potential`."""
        import torch

        task = "efs" if "stress" in properties else "ef" if "forces" in properties else "e"
        graphs = [self._graph(atoms) for atoms in structures]
        with torch.set_grad_enabled(task != "e"):
            answers = self._model.predict_graph(graphs, task=task, batch_size=len(graphs))
        if len(graphs) == 1:  # then chgnet returns the dict itself
            answers = [answers]
        return [self._result(answer, len(atoms), properties) for answer, atoms in zip(answers, structures)]

    def _result(self, answer: dict[str, Any], n_atoms: int, properties: Sequence[str]) -> dict[str, Any]:
        result: dict[str, Any] = {"energy": float(answer["e"]) * (n_atoms if self._model.is_intensive else 1)}
        if "forces" in properties:
            result["forces"] = answer["f"]
        if "stress" in properties:
            result["stress"] = voigt(answer["s"] * units.GPa)
        return result

    def calculator(self) -> Any:
        """See :class:`..families.Potential`."""
        from chgnet.model.dynamics import CHGNetCalculator

        return CHGNetCalculator(self._model, use_device=self._device, on_isolated_atoms="error")


def load(files: dict[str, Path], config: dict[str, Any], device: str, dtype: str, trusted: set[str]) -> ChgnetPotential:
    """See :class:`..families.Family`."""
    from chgnet.model.model import CHGNet

    refuse_config(NAME, config)
    weights = [path for name, path in files.items() if name.endswith((".tar", ".pt", ".pth"))]
    if len(weights) != 1:
        raise JobError(BAD_JOB, f"potential.files: the family chgnet needs {NEEDS}; got {', '.join(files) or 'none'}.")
    one_thread(device)
    checkpoint = load_checkpoint(weights[0], trusted)
    try:
        state = checkpoint["model"]
        # Versions before 0.3.0 have a bias here which their saved arguments do not tell (CHGNet.load sets it by name).
        bias = any(".mlp_out." in key and key.endswith(".bias") for key in state["state_dict"])
        arguments = {**state["model_args"], "mlp_out_bias": bias}
        model = CHGNet.from_dict({"model_args": arguments, "state_dict": state["state_dict"]})
    except Exception as error:  # whatever chgnet makes of a file that is no CHGNet; the reason is kept
        raise unreadable(weights[0], "CHGNet model", error) from error
    return ChgnetPotential(model.to(device).eval(), device)
