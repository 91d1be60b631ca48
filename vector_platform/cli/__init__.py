"""The command line: the same verbs as the Dagster UI, for people and scripts.

Belongs here: one file a group of verbs, each a thin shell that parses, launches a job (or reads)
and prints. Does not belong here: logic. Heavy libraries are imported inside the verbs, so that
`--help` is quick.
"""

from vector_platform.cli.app import main

__all__ = ["main"]
