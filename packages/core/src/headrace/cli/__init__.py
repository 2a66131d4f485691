"""The command line. One module a command; click and rich are imported nowhere else."""

from headrace.cli.app import main

__all__ = ["main"]
