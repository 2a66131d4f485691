"""A headrace backend over Hugging Face transformers and PyTorch, on the CPU."""

from headrace_transformers.backend import TransformersBackend

__all__ = ["TransformersBackend"]
__version__ = "0.1.0"
