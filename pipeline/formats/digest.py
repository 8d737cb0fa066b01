"""SHA-256 of files and values."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

__all__ = ["damage_shows", "sha256_bytes", "sha256_file", "sha256_joined"]


_WITH_CHECKSUM = (".gz", ".bam", ".cram")


def damage_shows(path: Path) -> bool:
    """Whether a changed byte in such a file shows without a stated digest.

    Compressed files carry a checksum of their own; FCS, LMD and plain FASTQ do not.

    >>> damage_shows(Path("a.fastq.gz")), damage_shows(Path("a.fcs"))
    (True, False)
    """
    return path.name.lower().endswith(_WITH_CHECKSUM)


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
