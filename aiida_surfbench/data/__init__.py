"""AiiDA data nodes of the benchmark."""
