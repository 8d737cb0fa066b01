"""Pairs of FASTQ files with their UMI, which leaves the reads or their names for a tag."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DamagedFile, InputRefused
from pipeline.formats.fastq import Read, read_mates
from pipeline.variants.molecules.settings import UmiSource

__all__ = ["UmiPair", "read_umi_pairs"]

_LETTERS = set("ACGTN")
_LONGEST_NAME = 254  # SAM specification 1.4


@dataclass(frozen=True, slots=True, kw_only=True)
class UmiPair:
    """One pair: its name, the UMI as RX has it (``-`` between two parts; None without), both mates."""

    name: str
    umi: str | None
    first: Read
    second: Read


def read_umi_pairs(reads: Path, mates: Path, umi: UmiSource) -> Iterator[UmiPair]:
    """Pairs in the order of the files.

    Parameters
    ----------
    reads, mates
        FASTQ, plain or gzip.
    umi
        ``header``: the last part of the name behind ``:`` or ``_``, two parts joined by ``+`` or ``-``;
        ``inline``: the first bases of the mates, which are cut off; ``none``.

    Raises
    ------
    DamagedFile
        If a file is damaged, the mates do not belong together, or a name is longer than SAM allows.
    InputRefused
        If the first pair has no UMI where it should, or a mate is not longer than its UMI.
    """
    for number, (first, second) in enumerate(read_mates(reads, mates), 1):
        name = _stripped(first.name)
        if not 0 < len(name) <= _LONGEST_NAME:
            raise DamagedFile(
                f"the name of read {number:,} has {len(name):,} characters",
                path=reads,
                expected=f"1 to {_LONGEST_NAME}",
                remedy="give reads as the sequencer named them",
            )
        if umi.kind == "header":
            found = _umi_of_name(name)
            if found is None:
                raise _without_umi(reads, number, "the name", "NAME:ACGTACGT or NAME:ACGT+TTGA")
            yield UmiPair(name=name, umi=found, first=first, second=second)
        elif umi.kind == "inline":
            if len(first.sequence) <= umi.first_nt or len(second.sequence) <= umi.second_nt:
                raise _without_umi(reads, number, "a mate", "mates longer than their UMI")
            parts = first.sequence[: umi.first_nt], second.sequence[: umi.second_nt]
            text = "-".join(part.decode("ascii") for part in parts if part)
            yield UmiPair(
                name=name, umi=text, first=_cut(first, umi.first_nt), second=_cut(second, umi.second_nt)
            )
        else:
            yield UmiPair(name=name, umi=None, first=first, second=second)


def _stripped(line: str) -> str:
    """The name alone, without comment and mate number.

    >>> _stripped("run:1:ACGT/1 1:N:0"), _stripped("run:1")
    ('run:1:ACGT', 'run:1')
    """
    name = line.split(None, 1)[0] if line.strip() else ""
    return name[:-2] if name.endswith(("/1", "/2")) else name


def _umi_of_name(name: str) -> str | None:
    """The UMI at a name's end, as RX has it.

    >>> _umi_of_name("run:7:ACGT+TTGA"), _umi_of_name("run_ACGT"), _umi_of_name("run:7:101")
    ('ACGT-TTGA', 'ACGT', None)
    """
    at = max(name.rfind(":"), name.rfind("_"))
    parts = name[at + 1 :].replace("+", "-").split("-")
    if at < 0 or len(parts) > 2 or not all(part and set(part) <= _LETTERS for part in parts):
        return None
    return "-".join(parts)


def _cut(read: Read, nt: int) -> Read:
    return Read(read.name, read.sequence[nt:], read.qualities[nt:])


def _without_umi(path: Path, number: int, where: str, expected: str) -> InputRefused:
    return InputRefused(
        f"read {number:,} has no UMI: {where} is too short or ends in something else",
        path=path,
        expected=expected,
        remedy="say where the UMIs are: --umi header, inline:4+4 or none",
    )
