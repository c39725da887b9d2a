"""Benchmark machine learning interatomic potentials on surfaces, with AiiDA provenance."""

__version__ = "0.1.0"
