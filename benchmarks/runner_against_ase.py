"""The runner, energy only, against a plain loop over the family's ASE calculator (energy, forces, stress).

Each pair is measured in turn, several times; rates exclude importing and loading, for both sides.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import chgnet, m3gnet, parser, run_runner

from aiida_surfbench.formats.extxyz import read_structures

LOOP = """
import json, sys, time
import torch
from ase.io import read
torch.set_num_threads(1)
family, path = sys.argv[1:3]
if family == "chgnet":
    from chgnet.model import CHGNet, CHGNetCalculator
    calculator = CHGNetCalculator(CHGNet.from_file(path), use_device="cpu")
else:
    import matgl
    from matgl.ext.ase import PESCalculator
    calculator = PESCalculator(matgl.load_model(path))
structures = read("structures.extxyz", ":")
start = time.perf_counter()
for atoms in structures:
    atoms.calc = calculator
    atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
print(json.dumps(time.perf_counter() - start))
"""


def ase_loop(folder: Path, family: str, weights: str) -> float:
    """Return the seconds of the plain loop over ``structures.extxyz`` of a folder."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LOOP, family, weights]
    answer = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    return float(json.loads(answer.stdout.splitlines()[-1]))


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "")
    options.add_argument("--m3gnet", type=Path, help="folder of an M3GNet")
    options.add_argument("--count", type=int, default=200)
    options.add_argument("--repeats", type=int, default=3)
    given = options.parse_args()
    slabs = [record for path in given.structures for record in read_structures(path) if record.role == "slab"]
    records = slabs[:: max(1, len(slabs) // given.count)][: given.count]
    potentials: dict[str, tuple[dict[str, Any], str]] = {}
    description = chgnet()
    potentials["chgnet"] = (description, description["files"]["model.pth.tar"]["path"])
    if given.m3gnet:
        potentials["m3gnet"] = (m3gnet(given.m3gnet), str(given.m3gnet.resolve()))
    print(f"{len(records)} slabs of {min(r.n_atoms for r in records)} to {max(r.n_atoms for r in records)} atoms")
    for family, (description, weights) in potentials.items():
        ratios = []
        for _ in range(given.repeats):
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch) / "job"
                _, results = run_runner(folder, records, description)
                loop = ase_loop(folder, family, weights)
            runner = results["timings"]["predict_s"]
            ratios.append(loop / runner)
            rates = f"ASE loop {len(records) / loop:.1f}/s, runner {len(records) / runner:.1f}/s"
            print(f"{family}: {rates}, {loop / runner:.2f}×")
        print(f"{family}: median ratio {statistics.median(ratios):.2f}×")


if __name__ == "__main__":
    main()
