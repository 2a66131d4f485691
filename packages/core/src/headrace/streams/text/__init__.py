"""From the bytes of tokens to the text a reader sees."""

from headrace.streams.text.assembler import TextAssembler
from headrace.streams.text.stops import StopStrings
from headrace.streams.text.utf8 import Utf8Decoder

__all__ = ["StopStrings", "TextAssembler", "Utf8Decoder"]
