"""Peak memory of the runner (CHGNet, energy only) on few and on many structures: it must not grow with their number."""

from __future__ import annotations

import tempfile
from pathlib import Path

from common import chgnet, enough, parser, run_runner


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "")
    options.add_argument("--count", type=int, nargs="+", default=[1000, 20000])
    options.add_argument("--largest", type=int, default=12, help="atoms of the largest structure taken")
    given = options.parse_args()
    peaks = []
    for number in given.count:
        records = enough(given.structures, number, given.largest)
        with tempfile.TemporaryDirectory() as scratch:
            seconds, results = run_runner(Path(scratch) / "job", records, chgnet())
        peaks.append(results["peak_memory_mb"])
        print(f"{number} structures: {peaks[-1]:.0f} MB peak, {seconds:.0f} s, {results['n_ok']} ok", flush=True)
    print(f"ratio of the last to the first: {peaks[-1] / peaks[0]:.3f}×")


if __name__ == "__main__":
    main()
