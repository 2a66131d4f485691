"""Where the ``headrace`` script begins: outside the package, so that Ctrl-C can come any time.

Importing the package takes a moment. Whoever presses Ctrl-C in it gets the same
line and exit code as later on.
"""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Import the command line and run it."""
    try:
        from headrace.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("headrace: interrupted\n")
        sys.exit(130)
