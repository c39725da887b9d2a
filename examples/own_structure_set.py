"""Evaluate an ASE calculator on a structure-set file and print the slabs with the largest errors.

Usage: python own_structure_set.py FILE.extxyz
"""

import sys
from pathlib import Path

from aiida import load_profile

from aiida_surfbench.data.potential import PotentialData
from aiida_surfbench.data.structure_set import SurfaceSetData
from aiida_surfbench.ingestion import find_labelled, import_surface_set, install_potential
from aiida_surfbench.launch import build_benchmark, run_in_place
from aiida_surfbench.queries import results, structure_records, to_frame

load_profile()
path = Path(sys.argv[1])
structures = find_labelled(SurfaceSetData, path.stem) or import_surface_set(path, path.stem)
potential = find_labelled(PotentialData, "emt") or install_potential(
    "ase", "emt", config={"factory": "ase.calculators.emt:EMT", "kwargs": {}}, elements=["Al", "Cu", "Ag", "Au", "Ni"]
)
node = run_in_place(build_benchmark(structures, [potential]))
slabs = to_frame(structure_records(results([node])))
slabs["size"] = slabs["error_j_m2"].abs()
columns = ["structure_id", "surface_energy_dft_j_m2", "surface_energy_ml_j_m2", "error_j_m2", "status"]
print(slabs.sort_values("size", ascending=False)[columns].head(10).to_string(index=False))
