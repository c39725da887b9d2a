"""Parsers, one per CalcJob. They read what was retrieved, never the remote folder."""
