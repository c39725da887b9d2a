"""Compare two versions of CHGNet on copper, on the slabs for which both have a surface energy."""

from pathlib import Path

from aiida import load_profile

from aiida_surfbench.data.potential import PotentialData
from aiida_surfbench.data.structure_set import SurfaceSetData
from aiida_surfbench.ingestion import find_labelled, import_surface_set, install_known_potential
from aiida_surfbench.launch import build_benchmark, restrict, run_in_place, select_common
from aiida_surfbench.queries import metrics_records, results, to_frame

load_profile()
path = Path(__file__).parent / "copper.extxyz"
structures = find_labelled(SurfaceSetData, "copper") or import_surface_set(path, "copper")
potentials = [
    find_labelled(PotentialData, name) or install_known_potential(name) for name in ("chgnet-0.2.0", "chgnet-0.3.0")
]
found = results([run_in_place(build_benchmark(structures, potentials))])
common = select_common(found)
table = to_frame(metrics_records([(result, restrict(result, common)) for result in found], "overall"))
columns = ["potential", "n_slabs", "n_failed", "surface_energy_rmse_j_m2", "surface_energy_bias_j_m2", "metrics_uuid"]
print(table[columns].to_string(index=False))
