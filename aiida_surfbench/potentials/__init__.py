"""Known potentials: one YAML of facts each, the registry that reads them, and each family's pinned environment."""
