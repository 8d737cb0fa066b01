"""Targets of a panel from a BED file."""

import gzip
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DamagedFile, InputRefused, printable

__all__ = ["Target", "read_targets"]

_LINE_MAX = 1 << 16
_NO_REGION = ("#", "track", "browser")
_REMEDY = "give BED: contig, start (0-based), end, separated by tabs"


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """A 0-based half-open interval of a contig."""

    contig: str
    start: int
    end: int

    @property
    def length_nt(self) -> int:
        """Bases of the target."""
        return self.end - self.start


def read_targets(path: Path, lengths_nt: Mapping[str, int] | None = None) -> tuple[Target, ...]:
    """Regions of a BED file, plain or gzip-packed, sorted, those that touch or overlap made one.

    Parameters
    ----------
    path
        BED; columns after the third are ignored.
    lengths_nt
        Contigs of the reference in its order, which the targets then take; targets must lie inside
        them. Without it contigs stand in the order of the file.

    Raises
    ------
    InputRefused
        If there is no such file, it holds no region, or a region lies outside the reference.
    DamagedFile
        If a line is no region, or the file is truncated or no text.
    """
    order: dict[str, int] = {} if lengths_nt is None else {name: i for i, name in enumerate(lengths_nt)}
    found = []
    for number, line in _lines(path):
        if line.strip() and not line.startswith(_NO_REGION):
            target = _target(path, number, line)
            if lengths_nt is not None:
                _require_inside(path, number, target, lengths_nt)
            order.setdefault(target.contig, len(order))
            found.append(target)
    if not found:
        raise InputRefused("holds no region", path=path, remedy=_REMEDY)
    found.sort(key=lambda t: (order[t.contig], t.start, t.end))
    return _merged(found)


def _merged(targets: list[Target]) -> tuple[Target, ...]:
    kept = [targets[0]]
    for target in targets[1:]:
        last = kept[-1]
        if target.contig == last.contig and target.start <= last.end:
            kept[-1] = Target(last.contig, last.start, max(last.end, target.end))
        else:
            kept.append(target)
    return tuple(kept)


def _target(path: Path, number: int, line: str) -> Target:
    cells = line.rstrip("\r\n").split("\t")
    if len(cells) < 3:
        cells = line.split()
    if len(cells) < 3 or not (all(c.isascii() and c.isdigit() for c in cells[1:3])):
        raise DamagedFile("is no region", path=path, line=number, remedy=_REMEDY)
    start, end = int(cells[1]), int(cells[2])
    if start >= end:
        raise DamagedFile(
            f"the region ends ({end}) before it begins ({start})", path=path, line=number, remedy=_REMEDY
        )
    return Target(cells[0], start, end)


def _require_inside(path: Path, number: int, target: Target, lengths_nt: Mapping[str, int]) -> None:
    length = lengths_nt.get(target.contig)
    if length is None:
        other = target.contig[3:] if target.contig.startswith("chr") else f"chr{target.contig}"
        spelling = f"; the reference calls it {printable(other)}" if other in lengths_nt else ""
        raise InputRefused(
            f"the reference has no contig {printable(target.contig)}{spelling}",
            path=path,
            line=number,
            expected=f"one such as {printable(next(iter(lengths_nt), 'none'))}",
            remedy="give targets and reference of the same build, with names spelled alike",
        )
    if target.end > length:
        raise InputRefused(
            f"the region ends at {target.end:,}, outside contig {printable(target.contig)}",
            path=path,
            line=number,
            expected=f"at most {length:,}, the contig's length in the reference",
            remedy="give targets and reference of the same build",
        )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            number = 0
            while line := file.readline(_LINE_MAX):
                number += 1
                yield number, line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DamagedFile("is no UTF-8 text", path=path, remedy=_REMEDY) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DamagedFile("is truncated or corrupt", path=path, remedy="copy it again") from error
    except OSError as error:
        raise InputRefused(
            f"cannot be read ({error.strerror})", path=path, remedy="give a BED file"
        ) from error
