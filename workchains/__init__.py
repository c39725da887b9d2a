"""WorkChains of the benchmark.

The folder lies at the top of the repository and is imported through a symlink as ``aiida_surfbench.workchains``: under
any other name AiiDA could not find the processes again.
"""

if __name__ != "aiida_surfbench.workchains":
    raise ImportError(f"import aiida_surfbench.workchains, not {__name__}")
