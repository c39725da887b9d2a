"""The program that runs in a potential's own environment, on the cluster.

It needs the standard library, numpy, ase and one potential's packages, never AiiDA nor the rest of this project: the
folder travels to the cluster inside a zipapp, as package ``surfbench_runner`` (see :mod:`.build`).
"""
