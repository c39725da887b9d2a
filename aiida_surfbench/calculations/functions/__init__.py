"""Calcfunctions, one per file. They run with caching disabled: a cached one goes stale when a pure function changes."""
