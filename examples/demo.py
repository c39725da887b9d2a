"""Evaluate CHGNet 0.3.0 on the embedded structure set and print the errors by element."""

from aiida_surfbench.data.potential import PotentialData
from aiida_surfbench.ingestion import demo_dataset, find_labelled, install_known_potential, load_demo_profile
from aiida_surfbench.launch import build_benchmark, run_in_place
from aiida_surfbench.queries import metrics_records, results, to_frame

load_demo_profile()
potential = find_labelled(PotentialData, "chgnet-0.3.0") or install_known_potential("chgnet-0.3.0")
node = run_in_place(build_benchmark(demo_dataset(), [potential]))
found = results([node])
table = to_frame(metrics_records([(result, result.metrics) for result in found], "element"))
print(table[["potential", "element", "n_slabs", "n_failed", "surface_energy_rmse_j_m2"]].to_string(index=False))
