"""Pure functions on numbers and numpy arrays: surface energies, lattices, metrics. Nothing here knows AiiDA."""
