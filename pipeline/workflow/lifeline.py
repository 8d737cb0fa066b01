"""Child processes that go when their parent goes, however it goes."""

import ctypes
import os
import signal
from pathlib import Path

__all__ = ["die_with"]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None, use_errno=True) if Path("/proc").is_dir() else None


def die_with(parent: int, sent: signal.Signals) -> None:
    """Tie this process to the one that started it; called first in the child.

    Parameters
    ----------
    parent
        Process identifier of the parent, as the parent knows it.
    sent
        What the kernel sends this process when the parent is gone.

    Notes
    -----
    Linux only; elsewhere it looks whether the parent still is there, and no more.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(sent))
    if os.getppid() != parent:  # it went before the kernel was asked
        os._exit(1)
