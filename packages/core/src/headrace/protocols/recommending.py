"""What a model says about its own sampling: optional beside the decoder."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from headrace.params import SamplingParams


@runtime_checkable
class RecommendsSampling(Protocol):
    """A ``DecoderModel`` whose file may say how tokens are best chosen."""

    def recommended_sampling(self) -> SamplingParams:
        """The defaults, with what the file says in their place.

        Raises:
            ModelFormatError: For a value that is outside its range.
        """
        ...
