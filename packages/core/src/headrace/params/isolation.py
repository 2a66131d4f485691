"""``IsolationParams``: the process that a backend is given for itself."""

from __future__ import annotations

import attrs

from headrace.params.fields import flag, integer, number, strict_names


@strict_names
@attrs.frozen(kw_only=True)
class IsolationParams:
    """What the child process may do, and how long it may be silent.

    Limits that the system does not know are left out.

    Raises:
        ParamsError: For an unknown name or a value outside its range.
    """

    memory_bytes: int | None = attrs.field(default=None, validator=integer(2**26, optional=True))
    """Most address space (``RLIMIT_AS``), mapped model files included; None: no limit."""

    cpu_seconds: int | None = attrs.field(default=None, validator=integer(1, optional=True))
    """Most processor time in all, its start included (``RLIMIT_CPU``); None: no limit."""

    network: bool = attrs.field(default=False, validator=flag())
    """Whether the child may reach the network (Linux: else a network namespace of its own)."""

    write_files: bool = attrs.field(default=False, validator=flag())
    """Whether the child may write to files (``RLIMIT_FSIZE``)."""

    watchdog: float = attrs.field(default=120.0, validator=number(0, above=True))
    """Seconds after which a child that should answer and brings nothing forward is ended.

    A deadline of the caller's, a cancel and ``close`` do not wait for it.
    """
