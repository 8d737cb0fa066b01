"""A BAM or CRAM file made ready to be read by region: whole, sorted, indexed, of the reference's build."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import DamagedFile, InputRefused, printable
from pipeline.formats.bed import Target
from pipeline.variants.molecules.bam_index import BamIndex
from pipeline.variants.molecules.bgzf import BgzfReader
from pipeline.variants.reference import Reference

__all__ = ["AlignedReads", "ready_alignments"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedReads:
    """A sorted, indexed BAM file; ``path`` may be a temporary one made from ``source``.

    ``contigs`` are the header's names in its order, with lengths; ``md5`` the M5 it knows.
    """

    source: Path
    path: Path
    contigs: dict[str, int]
    md5: dict[str, str]
    index: BamIndex

    def number(self, contig: str) -> int:
        """The header's number of a contig."""
        return list(self.contigs).index(contig)


@contextmanager
def ready_alignments(source: Path, reference: Reference, targets: Sequence[Target]) -> Iterator[AlignedReads]:
    """Check a BAM or CRAM file, and sort or index a temporary copy where it needs that.

    Raises
    ------
    InputRefused
        If it is no BAM or CRAM, holds no alignment, or is of another reference: contigs missing,
        spelled otherwise, of another length, or with other bases by their M5.
    DamagedFile
        If it is cut short or corrupt.
    """
    if not source.is_file():
        raise InputRefused("there is no such file", path=source, remedy="give a BAM or CRAM file")
    with tempfile.TemporaryDirectory(prefix=".nadir-") as folder:
        path, header = _as_sorted_bam(source, reference, Path(folder))
        contigs = {str(q["SN"]): int(q["LN"]) for q in header.get("SQ", [])}
        md5 = {str(q["SN"]): str(q["M5"]).lower() for q in header.get("SQ", []) if "M5" in q}
        _require_build(source, contigs, md5, reference, targets)
        index = BamIndex(_indexed(source, path, Path(folder)))
        if index.end_offset >> 16 > path.stat().st_size:
            raise DamagedFile(
                "is shorter than its index says", path=source, remedy="copy both again, or index it anew"
            )
        if not index.alignments():
            raise InputRefused(
                "holds no mapped alignment",
                path=source,
                remedy="align the reads first (nadir variants align)",
            )
        yield AlignedReads(source=source, path=path, contigs=contigs, md5=md5, index=index)


def _as_sorted_bam(source: Path, reference: Reference, folder: Path) -> tuple[Path, dict[str, Any]]:
    path = source
    with source.open("rb") as file:
        is_cram = file.read(4) == b"CRAM"
    if is_cram:
        path = folder / "unpacked.bam"
        _samtools("view", source, "-b", "-T", str(reference.path), "-o", str(path), str(source))
    else:
        with BgzfReader(source) as blocks:
            if next(iter(blocks.blocks(1)), b"")[:4] != b"BAM\1":
                raise InputRefused("is neither BAM nor CRAM", path=source, remedy="give aligned reads")
    header = _header(source, path)
    if header.get("HD", {}).get("SO") != "coordinate":
        unsorted, path = path, folder / "sorted.bam"
        _samtools("sort", source, "-T", str(folder / "part"), "-o", str(path), str(unsorted))
    return path, header


def _header(source: Path, path: Path) -> dict[str, Any]:
    import pysam

    before = pysam.set_verbosity(0)  # htslib's own messages would go to stderr beside ours
    try:
        with pysam.AlignmentFile(str(path), "rb", check_sq=False) as file:
            header: dict[str, Any] = file.header.to_dict()
            return header
    except (OSError, ValueError) as error:
        raise DamagedFile(
            "has no readable header", path=source, remedy="copy the file again, or make it again"
        ) from error
    finally:
        pysam.set_verbosity(before)


def _indexed(source: Path, path: Path, folder: Path) -> Path:
    """An index not older than the file: beside it, or made for this run."""
    if path == source:
        for beside in (Path(f"{source}.bai"), source.with_suffix(".bai")):
            if beside.is_file() and beside.stat().st_mtime_ns >= source.stat().st_mtime_ns:
                return beside
    index = folder / "index.bai"
    _samtools("index", source, "-b", "-o", str(index), str(path))
    return index


def _samtools(command: str, source: Path, *arguments: str) -> None:
    import pysam
    import pysam.utils

    before = pysam.set_verbosity(0)
    try:
        getattr(pysam, command)(*arguments, catch_stdout=False)
    except pysam.utils.SamtoolsError as error:
        what = {
            "view": "cannot be unpacked: the CRAM is corrupt or was packed against another reference",
            "sort": "cannot be sorted: it is cut short or corrupt",
            "index": "cannot be indexed: it is cut short, corrupt, or not sorted as its header says",
        }[command]
        raise DamagedFile(what, path=source, remedy=f"see what `samtools {command}` says of it") from error
    finally:
        pysam.set_verbosity(before)


def _require_build(
    source: Path,
    contigs: dict[str, int],
    md5: dict[str, str],
    reference: Reference,
    targets: Sequence[Target],
) -> None:
    for contig in dict.fromkeys(t.contig for t in targets):
        if contig not in contigs:
            raise _contig_missing(source, contig, contigs)
        if reference.lengths_nt.get(contig) != contigs[contig] or contig in md5:
            try:
                reference.require(contig, length_nt=contigs[contig], md5=md5.get(contig))
            except InputRefused as error:
                error.add_note(f"the other file is {printable(str(source))}")
                raise


def _contig_missing(source: Path, contig: str, contigs: dict[str, int]) -> InputRefused:
    other = contig[3:] if contig.startswith("chr") else f"chr{contig}"
    spelled = f"; it calls it {printable(other)}" if other in contigs else ""
    return InputRefused(
        f"its header has no contig {printable(contig)}{spelled}",
        path=source,
        expected=f"the contigs of the targets; it has such as {printable(next(iter(contigs), 'none'))}",
        remedy="give targets and reference of the build the reads were aligned to, with names spelled alike",
    )
