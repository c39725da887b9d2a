"""CalcJobs that run the runner on a computer, and the calcfunctions that turn its results into numbers."""
