"""From the bytes of tokens to the text a reader sees."""

from headrace.text.assembler import TextAssembler
from headrace.text.stops import StopStrings
from headrace.text.utf8 import Utf8Decoder

__all__ = ["StopStrings", "TextAssembler", "Utf8Decoder"]
