"""The compiled module, which no type checker can look into."""

from typing import Any

ffi: Any
lib: Any
