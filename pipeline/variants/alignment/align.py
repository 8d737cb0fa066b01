"""From FASTQ to a sorted BAM file with UMIs, contigs with their MD5, and an index."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline import __version__
from pipeline.errors import InputRefused
from pipeline.formats.atomic import replacing
from pipeline.variants.alignment.aligners import aligned_lines, choose_aligner
from pipeline.variants.alignment.umi_reads import UmiPair, read_umi_pairs
from pipeline.variants.molecules.settings import UmiSource
from pipeline.variants.reference import Reference

__all__ = ["AlignmentTally", "align_reads"]


@dataclass(slots=True, kw_only=True)
class AlignmentTally:
    """Pairs read, alignments written (supplementary ones too) and reads that found no place."""

    aligner: str
    pairs: int = 0
    alignments: int = 0
    unmapped: int = 0


def align_reads(
    reads: Path,
    mates: Path,
    reference: Reference,
    out: Path,
    *,
    umi: UmiSource,
    aligner: str = "auto",
    threads: int = 1,
) -> AlignmentTally:
    """Align pairs and write ``out``, a sorted BAM file, and ``out``.bai.

    Parameters
    ----------
    reads, mates
        FASTQ of read 1 and read 2, plain or gzip.
    reference
        Indexed FASTA; the header takes its contigs with their MD5.
    umi
        Where UMIs are; they are written as RX.
    aligner
        ``bwa-mem2``, ``bwa``, ``minimap2``, or ``auto``: the first of them that is installed and has its
        index beside the reference; minimap2 always is.

    Raises
    ------
    InputRefused
        If there are no reads, UMIs are missing, or the aligner fails.
    DamagedFile
        If a FASTQ file is damaged.

    Notes
    -----
    Pairs alone, no adapters cut: an aligner clips them softly.
    """
    import pysam

    chosen = choose_aligner(reference.path, aligner)
    tally = AlignmentTally(aligner=chosen)
    with tempfile.TemporaryDirectory(prefix=".nadir-") as name:
        folder = Path(name)
        unsorted = folder / "unsorted.sam"
        with unsorted.open("w", encoding="ascii") as file:
            file.write(_header(reference, chosen))
            pairs = _counted(read_umi_pairs(reads, mates, umi), tally)
            for text in aligned_lines(chosen, reference.path, pairs, folder, threads=threads):
                file.write(text)
                for line in text.splitlines():
                    tally.alignments += 1
                    tally.unmapped += bool(int(line.split("\t", 2)[1]) & 4)
        if tally.pairs == 0:
            raise InputRefused("holds no reads", path=reads, remedy="give FASTQ with reads")
        with replacing(out) as temporary:
            pysam.sort(
                "--no-PG", "-O", "bam", "-@", str(threads), "-T", str(folder / "part"), "-o", str(temporary),
                str(unsorted), catch_stdout=False,
            )  # fmt: skip
        with replacing(Path(f"{out}.bai")) as temporary:
            pysam.index("-b", "-o", str(temporary), str(out), catch_stdout=False)
    return tally


def _counted(pairs: Iterator[UmiPair], tally: AlignmentTally) -> Iterator[UmiPair]:
    for pair in pairs:
        tally.pairs += 1
        yield pair


def _header(reference: Reference, aligner: str) -> str:
    contigs = "".join(
        f"@SQ\tSN:{name}\tLN:{length}\tM5:{reference.md5(name)}\n"
        for name, length in reference.lengths_nt.items()
    )
    program = f"@PG\tID:nadir\tPN:nadir\tVN:{__version__}\tDS:aligned by {aligner}\n"
    return f"@HD\tVN:1.6\tSO:unsorted\n{contigs}@RG\tID:1\tSM:1\n{program}"
