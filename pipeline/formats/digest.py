"""SHA-256 of files and values."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

__all__ = ["sha256_bytes", "sha256_file", "sha256_joined"]


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes, read in blocks."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_bytes(data: bytes) -> str:
    """Hex digest of ``data``."""
    return hashlib.sha256(data).hexdigest()


def sha256_joined(digests: Iterable[str]) -> str:
    """One digest of several files: itself for one, else the digest of the digests in order."""
    several = list(digests)
    return several[0] if len(several) == 1 else sha256_bytes("\n".join(several).encode())
