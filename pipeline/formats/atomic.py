"""Files that are either there whole or not at all.

Every file nadir writes goes through here: a temporary file in the same folder,
fsync, rename, fsync of the folder. A killed process leaves the old file, or none,
and a temporary name that starts with ``.nadir-``.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = [
    "canonical_json",
    "fsync_folder",
    "replacing",
    "sweep_temporaries",
    "write_bytes",
    "write_json",
    "write_text",
]

TEMPORARY_PREFIX = ".nadir-"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well.

    The folder is made if it is missing. If the block raises, nothing is left behind
    and what was at ``path`` stays. The suffixes of the name are kept, for writers that
    choose a format by them.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        prefix=TEMPORARY_PREFIX, suffix="".join(path.suffixes[-2:]), dir=path.parent
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` at once and durably."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 with its line ends unchanged."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as `canonical_json`."""
    write_text(path, canonical_json(value))


def canonical_json(value: Any) -> str:
    r"""JSON with one spelling per value: sorted keys, two-space indent, no NaN, final newline.

    >>> canonical_json({"b": 1, "a": [0.1]})
    '{\n  "a": [\n    0.1\n  ],\n  "b": 1\n}\n'
    """
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def fsync_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep_temporaries(folder: Path) -> None:
    """Remove what killed writers left below ``folder``; only for one who holds it alone."""
    for path in sorted(folder.rglob(f"{TEMPORARY_PREFIX}*")):
        path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
