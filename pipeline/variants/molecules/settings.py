"""Run choices of molecules and their consensus."""

from dataclasses import dataclass
from typing import Self

from pipeline.errors import UsageError

__all__ = ["LONGEST_UMI_NT", "MoleculeSettings", "UmiSource"]

LONGEST_UMI_NT = 31  # per part: two bits a base in a signed 64-bit word


@dataclass(frozen=True, slots=True, kw_only=True)
class UmiSource:
    """Where UMIs are: ``tag`` (RX), ``header`` (end of the read's name), ``inline`` (first bases), ``none``.

    ``first_nt`` and ``second_nt`` are the inline UMI's lengths on read 1 and read 2.
    """

    kind: str = "tag"
    first_nt: int = 0
    second_nt: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the command line's ``tag``, ``header``, ``none`` or ``inline:4+4``.

        Raises
        ------
        UsageError
            If it is none of these, or a UMI is longer than `LONGEST_UMI_NT`.

        Examples
        --------
        >>> UmiSource.parse("inline:4+4")
        UmiSource(kind='inline', first_nt=4, second_nt=4)
        """
        if text in ("tag", "header", "none"):
            return cls(kind=text)
        lengths = text.removeprefix("inline:").split("+")
        if text.startswith("inline:") and len(lengths) in (1, 2) and all(n.isdecimal() for n in lengths):
            first, second = int(lengths[0]), int(lengths[1]) if len(lengths) == 2 else 0
            if max(first, second) <= LONGEST_UMI_NT and first + second > 0:
                return cls(kind="inline", first_nt=first, second_nt=second)
        raise UsageError(
            "--umi is not understood. Expected: tag, header, none, or inline:4+4 "
            f"(nucleotides at the start of read 1 and read 2, at most {LONGEST_UMI_NT} each)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MoleculeSettings:
    """How reads become molecules and molecules bases.

    Parameters
    ----------
    umi
        Where UMIs are.
    duplex
        Whether pairs of the two orientations with exchanged UMI parts are the two strands of one
        molecule; only where UMIs have two parts.
    umi_edits
        Largest Hamming distance (0, 1 or 2) between a UMI and the one it is thought to be misread from.
    min_mapping_quality
        Reads mapped less well are evidence of nothing; they are counted in ``low_mapping``. Reads that
        belong elsewhere are most of what remains of error in duplex molecules; below 30 they get through.
    post_umi_error
        Probability of error per base and read after the UMI was attached that base qualities don't know
        (late PCR); added to each quality's own.
    min_consensus_llr
        Natural log-likelihood ratio by which a strand's reads must favour a base over every other:
        5.5 is reached by one read of Q20.
    min_base_quality
        Bases read worse are passed over.
    max_fragment_nt
        Longest fragment; a mate further away is not looked for.
    indel_flank_nt
        Bases a read must show on both sides of a repeat to say whether its length changed.
    records_at_once
        Alignments held at once, where targets allow to cut between them; bounds memory.
    """

    umi: UmiSource = UmiSource()
    duplex: bool = True
    umi_edits: int = 1
    min_mapping_quality: int = 30
    post_umi_error: float = 1e-4
    min_consensus_llr: float = 5.5
    min_base_quality: int = 6
    max_fragment_nt: int = 600
    indel_flank_nt: int = 3
    records_at_once: int = 400_000

    def __post_init__(self) -> None:
        if self.umi_edits not in (0, 1, 2):
            raise UsageError(f"UMI edits are {self.umi_edits}. Expected: 0, 1 or 2")
        if not 0 < self.post_umi_error < 0.1:
            raise UsageError("the error after UMI attachment is out of range. Expected: above 0, below 0.1")
        if self.max_fragment_nt < 1 or self.records_at_once < 1:
            raise UsageError("fragment length and records at once must be positive")
