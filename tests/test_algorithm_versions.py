"""The WorkChains ask for the algorithm versions that are installed: they may not import them."""

from aiida_surfbench.science import metrics, surface_energy


def test_workchains_ask_for_the_installed_versions(aiida_profile):
    from aiida_surfbench.workchains.surface_energy import DEFAULT_METRICS, SURFACE_ENERGY_VERSION

    assert DEFAULT_METRICS["algorithm_version"] == metrics.ALGORITHM_VERSION
    assert surface_energy.ALGORITHM_VERSION == SURFACE_ENERGY_VERSION
