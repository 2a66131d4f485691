"""A host of headrace: it runs any backend in a process of its own.

The child loads the model and holds its sessions; what stands here are handles. A
session has a channel of its own, so there is no thread in the parent that
distributes what arrives: whoever reads a stream reads its channel. Interrupts
travel beside the channels, through a pipe that is written to atomically.
"""

from headrace_subprocess._version import __version__
from headrace_subprocess.host import ProcessHost

__all__ = ["ProcessHost", "__version__"]
