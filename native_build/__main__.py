"""``python -m native_build``: get llama.cpp and build its libraries into the cache.

The long part of an installation, on its own, where its progress can be seen: pip hides what a
build prints. The installation after it finds the libraries in the cache.
"""

from __future__ import annotations

import sys

from .libraries import get_libraries
from .progress import say
from .settings import Settings
from .toolchain import deployment_target


def main() -> None:
    """Build the libraries, or find them built."""
    deployment_target()
    prefix, _ = get_libraries(Settings.from_environment())
    say(f"the llama.cpp libraries are ready in {prefix.folder}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        say("interrupted; nothing half-built was kept")
        sys.exit(130)
