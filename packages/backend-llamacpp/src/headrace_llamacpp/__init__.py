"""The llama.cpp backend: headrace's decoder protocol over the compiled binding.

Importing this package imports nothing native; loading a model does. Only
``_native`` imports the extension, everything else goes through it. C names live
below that line, Python names above.
"""

from headrace_llamacpp._version import __version__
from headrace_llamacpp.backend import LlamaCppBackend

__all__ = ["LlamaCppBackend", "__version__"]
