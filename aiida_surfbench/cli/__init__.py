"""The command line: ``aiida-surfbench``, and the same group as ``verdi data surfbench``.

One file per noun or verb; heavy packages are imported inside the commands.
"""

from . import code, dataset, demo, potential, run, status, table
from .root import cli, main

__all__ = ("cli", "code", "dataset", "demo", "main", "potential", "run", "status", "table")
