"""Where the ``headrace`` script begins: outside the package, so that Ctrl-C can come any time.

Importing the package takes a moment. Whoever presses Ctrl-C in it gets the same
line and exit code as later on.
"""

from __future__ import annotations

import contextlib
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Import the command line and run it."""
    try:
        from headrace.cli import main as run

        run()
    except KeyboardInterrupt:
        _tell("headrace: interrupted")
        sys.exit(130)
    except ImportError as error:
        _tell(f"headrace: error: a package cannot be imported: {error}\nInstall headrace again.")
        sys.exit(1)


def _tell(message: str) -> None:
    # stderr may be closed, or full.
    with contextlib.suppress(OSError, AttributeError):
        sys.stderr.write(f"{message}\n")
        sys.stderr.flush()
