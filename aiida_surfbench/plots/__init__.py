"""Figures: from a DataFrame to a matplotlib Figure, one per file. Nothing here knows AiiDA."""
