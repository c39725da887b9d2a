"""The whole SurfaceEnergyWorkChain against the runner alone, on the same structures; and the nodes it makes.

The WorkChain runs in place in a profile of its own, on a Code that was described before, as at every use but the first.
Both are measured in turn, in one run.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from common import chgnet, enough, parser, run_runner


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "")
    options.add_argument("--count", type=int, nargs="+", default=[840, 8400])
    options.add_argument("--repeats", type=int, default=1)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["AIIDA_PATH"] = scratch
        from aiida.orm import Node, QueryBuilder

        from aiida_surfbench.data.structure_set import SurfaceSetData
        from aiida_surfbench.ingestion import demo_dataset, install_known_potential, load_demo_profile
        from aiida_surfbench.launch import build_benchmark, run_in_place

        load_demo_profile()
        potential = install_known_potential("chgnet-0.3.0")
        run_in_place(build_benchmark(demo_dataset(), [potential]))  # describes the Code
        for number in given.count:
            records = enough(given.structures, number)
            structures = SurfaceSetData(records).store()
            ratios = []
            for repeat in range(given.repeats):
                alone, results = run_runner(Path(scratch) / f"alone-{number}-{repeat}", records, chgnet())
                before = QueryBuilder().append(Node).count()
                start = time.perf_counter()
                node = run_in_place(build_benchmark(structures, [potential]))
                whole = time.perf_counter() - start
                made = QueryBuilder().append(Node).count() - before
                ratios.append(whole / alone)
                overall = next(iter(node.outputs.results.values())).metrics.get_dict()["overall"]
                print(
                    f"{number} structures: runner alone {alone:.1f} s ({results['n_ok']} ok), WorkChain {whole:.1f} s "
                    f"({overall['n_slabs']} slabs, {overall['n_failed']} failed), {whole / alone:.3f}×, {made} nodes"
                )
            print(f"{number} structures: median ratio {statistics.median(ratios):.3f}×")


if __name__ == "__main__":
    main()
