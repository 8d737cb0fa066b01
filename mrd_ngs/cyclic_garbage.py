"""Work on millions of small objects without Python's search for reference cycles among them."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["cycles_ignored"]


@contextmanager
def cycles_ignored() -> Iterator[None]:
    """Put off the cycle collector; objects outside cycles are freed as ever.

    Every few hundred new objects it looks through the young ones, and now and then through
    all: a third of the time of reading a file, where nothing refers back. Of threads that
    do this together the first to end switches it on again, which costs time and nothing else.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
