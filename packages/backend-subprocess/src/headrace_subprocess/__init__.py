"""A headrace backend that runs another one in a process of its own.

The child loads the model and holds its sessions; what stands here are handles. A
session has a channel of its own, so there is no thread in the parent that
distributes what arrives: whoever reads a stream reads its channel. Interrupts
travel beside the channels, through a pipe that is written to atomically.
"""

from headrace_subprocess._version import __version__
from headrace_subprocess.backend import SubprocessBackend

__all__ = ["SubprocessBackend", "__version__"]
