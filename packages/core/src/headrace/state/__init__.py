"""Saved sessions: what a state consists of, its form as bytes, and files of it."""

from headrace.state.container import SessionState, pack, unpack
from headrace.state.files import StateSource, StateTarget, read_state, write_state

__all__ = [
    "SessionState",
    "StateSource",
    "StateTarget",
    "pack",
    "read_state",
    "unpack",
    "write_state",
]
