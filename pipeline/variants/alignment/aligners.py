"""The aligners: pairs in, lines of SAM without header out."""

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.errors import InputRefused, UsageError
from pipeline.formats.fastq import Read
from pipeline.variants.alignment.sam_lines import sam_lines
from pipeline.variants.alignment.umi_reads import UmiPair

__all__ = ["ALIGNERS", "aligned_lines", "choose_aligner"]

# What each needs beside the reference.
_INDEXES = {"bwa-mem2": ".bwt.2bit.64", "bwa": ".bwt"}
ALIGNERS = (*_INDEXES, "minimap2")


def choose_aligner(reference: Path, wanted: str = "auto") -> str:
    """The aligner to use: the one wanted, or the first that is installed and has its index.

    Raises
    ------
    UsageError
        If the one wanted is not known or not on PATH.
    InputRefused
        If it has no index of the reference.
    """
    if wanted == "auto":
        ready = [a for a in _INDEXES if shutil.which(a) and Path(f"{reference}{_INDEXES[a]}").is_file()]
        return ready[0] if ready else "minimap2"
    if wanted not in ALIGNERS:
        raise UsageError(f"there is no such aligner. Expected: auto, {', '.join(ALIGNERS)}")
    if wanted in _INDEXES:
        if shutil.which(wanted) is None:
            raise UsageError(f"{wanted} is not on PATH. Remedy: install it, or leave --aligner at auto")
        if not Path(f"{reference}{_INDEXES[wanted]}").is_file():
            raise InputRefused(
                f"has no index of {wanted}", path=reference, remedy=f"run `{wanted} index` on it"
            )
    return wanted


def aligned_lines(
    aligner: str, reference: Path, pairs: Iterable[UmiPair], folder: Path, *, threads: int = 1
) -> Iterator[str]:
    """Lines of SAM, mates together; ``folder`` is for temporary files."""
    if aligner == "minimap2":
        yield from _by_minimap2(reference, pairs, threads)
    else:
        yield from _by_bwa(aligner, reference, pairs, folder, threads)


def _by_minimap2(reference: Path, pairs: Iterable[UmiPair], threads: int) -> Iterator[str]:
    import mappy

    index = mappy.Aligner(str(reference), preset="sr", n_threads=threads)
    if not index:
        raise InputRefused("minimap2 cannot index it", path=reference, remedy="give a FASTA file")
    for pair in pairs:
        best: list[object | None] = [None, None]
        for hit in index.map(pair.first.sequence.decode("ascii"), pair.second.sequence.decode("ascii")):
            if hit.is_primary and best[hit.read_num - 1] is None:
                best[hit.read_num - 1] = hit
        yield sam_lines(pair, (best[0], best[1]))


def _by_bwa(
    aligner: str, reference: Path, pairs: Iterable[UmiPair], folder: Path, threads: int
) -> Iterator[str]:
    """Bwa mem: mates interleaved, UMIs as comments that it copies into tags (-C), small runs alike (-K)."""
    reads = folder / "reads.fastq"
    with reads.open("w", encoding="ascii") as file:
        for pair in pairs:
            tag = "" if pair.umi is None else f" RX:Z:{pair.umi}"
            file.write(_fastq(pair.name, tag, pair.first) + _fastq(pair.name, tag, pair.second))
    errors = folder / "errors.txt"
    command = [aligner, "mem", "-p", "-C", "-K", "100000000", "-t", str(threads), "-R", "@RG\\tID:1\\tSM:1",
               str(reference), str(reads)]  # fmt: skip
    with (
        errors.open("wb") as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as run,  # noqa: S603
    ):
        assert run.stdout is not None
        for line in run.stdout:
            if not line.startswith("@"):
                yield line
    if run.returncode:
        last = errors.read_text(errors="replace").strip().splitlines()[-1:] or [""]
        raise InputRefused(
            f"{aligner} ended with {run.returncode}: {last[0][:200]}", path=reference, remedy="index it anew"
        )


def _fastq(name: str, tag: str, read: Read) -> str:
    return f"@{name}{tag}\n{read.sequence.decode('ascii')}\n+\n{read.qualities.decode('ascii')}\n"
