"""A small library of UMI reads with known molecules, written base by base, and a reference under it."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pysam

from pipeline.formats.bed import Target
from pipeline.variants.evidence import SiteEvidence
from pipeline.variants.molecules import MoleculeSettings, ReadTally, read_evidence
from pipeline.variants.reference import Reference

READ_NT = 60
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def made_up_bases(length: int, seed: int = 1) -> str:
    draw = random.Random(seed)
    return "".join(draw.choice("ACGT") for _ in range(length))


def write_reference(path: Path, contigs: dict[str, str]) -> Path:
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in contigs.items()))
    pysam.faidx(str(path))
    return path


@dataclass(slots=True)
class Library:
    """Pairs over one contig ``1``; every method adds reads."""

    bases: str
    contig: str = "1"
    rows: list[pysam.AlignedSegment] = field(default_factory=list)
    md5: str | None = None
    order: str = "coordinate"
    length: int | None = None

    def header(self) -> pysam.AlignmentHeader:
        line: dict[str, object] = {"SN": self.contig, "LN": self.length or len(self.bases)}
        if self.md5:
            line["M5"] = self.md5
        return pysam.AlignmentHeader.from_dict({"HD": {"VN": "1.6", "SO": self.order}, "SQ": [line]})

    def pair(
        self,
        start: int,
        length: int,
        umi: str | None = "ACGT-TTGA",
        *,
        strand: int = 0,
        change: Callable[[str, int], str] | None = None,
        quality: int = 37,
        read_nt: int = READ_NT,
        mapping_quality: int = 60,
    ) -> None:
        """One pair of the fragment [start, start + length); ``change`` alters the bases of one mate (0, 1).

        ``strand`` 0: read 1 is the left, forward one. Without ``change``, bases are the reference's.
        """
        number = len(self.rows)
        size = min(read_nt, length)
        for mate, begin in enumerate((start, start + length - size)):
            row = pysam.AlignedSegment(self.header())
            row.query_name = f"r{number:06d}"
            text = self.bases[begin : begin + size]
            row.query_sequence = change(text, mate) if change else text
            row.query_qualities = pysam.qualitystring_to_array(chr(33 + quality) * size)
            row.reference_id, row.reference_start = 0, begin
            row.next_reference_id, row.next_reference_start = 0, (start + length - size, start)[mate]
            row.cigartuples = [(0, size)]
            row.mapping_quality = mapping_quality
            row.template_length = length if mate == 0 else -length
            row.flag = 3 | (16 if mate else 32) | (64 if mate == strand else 128)
            if umi is not None:
                row.set_tag("RX", umi if strand == 0 else "-".join(reversed(umi.split("-"))))
            self.rows.append(row)

    def molecule(
        self, start: int, length: int, umi: str = "ACGT-TTGA", *, reads=(1, 1), changes=(None, None)
    ) -> None:
        """A molecule with so many pairs of its forward and reverse strand, each strand with its change."""
        for strand in (0, 1):
            for _ in range(reads[strand]):
                self.pair(start, length, umi, strand=strand, change=changes[strand])

    def write(self, path: Path, *, shuffled: int | None = None, index: bool = True) -> Path:
        rows = sorted(self.rows, key=lambda r: r.reference_start)
        if shuffled is not None:
            random.Random(shuffled).shuffle(rows)
        with pysam.AlignmentFile(str(path), "wb", header=self.header()) as file:
            for row in rows:
                file.write(row)
        if index and self.order == "coordinate":
            pysam.index(str(path))
        return path


def at(position: int, start: int, length: int, base: str, *, read_nt: int = READ_NT):
    """A change that puts ``base`` at a position of the reference in both mates that cover it."""

    def change(text: str, mate: int) -> str:
        size = min(read_nt, length)
        k = position - (start if mate == 0 else start + length - size)
        return text[:k] + base + text[k + 1 :] if 0 <= k < size else text

    return change


def other_base(base: str, shift: int = 1) -> str:
    return "ACGT"[("ACGT".index(base) + shift) % 4]


def evidence_of(
    path: Path,
    reference: Path,
    targets: Iterable[tuple[int, int]],
    settings: MoleculeSettings | None = None,
    *,
    contig: str = "1",
    threads: int = 1,
    tally: ReadTally | None = None,
) -> list[SiteEvidence]:
    with Reference(reference) as bases:
        wanted = [Target(contig, start, end) for start, end in targets]
        return list(read_evidence(path, bases, wanted, settings, threads=threads, tally=tally))
