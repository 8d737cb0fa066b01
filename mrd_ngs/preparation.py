"""Reads as they come from the sequencer to reads that can be counted: UMI off, trimmed, mates merged."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.evidence import MateMerging, ReadFate, Trimming
from mrd_ngs.mates import MergeTally, ReadBatch, merge_mates
from mrd_ngs.settings import NgsSettings
from mrd_ngs.trimming import Trimmer, mismatches_at
from pipeline.errors import InputRefused
from pipeline.formats.fastq import Read, read_fastq, read_mates

__all__ = ["Preparation", "umi_of_name", "umi_of_tag"]

_AT_ONCE = 20_000  # reads of a batch: some 20 MB, and little overhead a batch
_UMI_TAG = "RX:Z:"
_PHRED_33 = bytes(max(0, letter - 33) for letter in range(256))
_DUAL = str.maketrans("", "", "+-")  # what stands between the two parts of a dual UMI


class Preparation:
    """Prepares the reads of one sample batch by batch, and keeps account of those it loses.

    Parameters
    ----------
    files
        One file of single or merged reads, or two of mates.
    settings
        Mates, primers and adapters, UMIs.
    with_qualities
        Whether qualities are wanted where UMIs do not need them.

    Raises
    ------
    InputRefused
        If there are more files, or a UMI is to be in second mates that are not there.
    """

    def __init__(self, files: Sequence[Path], settings: NgsSettings, *, with_qualities: bool = False) -> None:
        if len(files) not in (1, 2):
            raise InputRefused(f"{len(files)} read files", expected="one file of reads, or two of mates")
        self._files = files
        self._paired = len(files) == 2
        self._settings = settings
        if settings.umi_source in ("second", "both") and not self._paired:
            raise InputRefused(
                "the UMI is to be read from second mates, and there are none",
                path=files[0],
                remedy="give both files of mates, or set umi_source to what the reads have",
            )
        self._first, self._second = Trimmer.of(settings, "first"), Trimmer.of(settings, "second")
        self._has_umis = settings.umi_source != "none"
        self._with_qualities = with_qualities or self._has_umis
        self._trims = bool(
            settings.primers_first
            or settings.primers_second
            or settings.adapters_first
            or (settings.adapters_second and self._paired)
        )
        self.input_reads = 0
        self._lost: Counter[str] = Counter()
        self._trimmed: Counter[str] = Counter()
        self._merging = MergeTally()

    def batches(self) -> Iterator[tuple[list[bytes], list[bytes], list[bytes]]]:
        """Prepare every read.

        Yields
        ------
        sequences, qualities, umis : list of bytes
            In the order of the file. UMIs are an empty list without UMIs; so are qualities (Phred, a
            byte each base) where they are not wanted either. A sequence may be of any length, also
            empty.

        Raises
        ------
        DamagedFile, InputRefused
            As `pipeline.formats.fastq.read_fastq` and `read_mates`.
        """
        longest = self._settings.max_read_nt
        if self._paired:
            mates = read_mates(self._files[0], self._files[1], max_length=longest)
            while pairs := list(islice(mates, _AT_ONCE)):
                self.input_reads += len(pairs)
                yield self._prepared([one for one, _ in pairs], [two for _, two in pairs])
            return
        reads = read_fastq(self._files[0], max_length=longest)
        while batch := list(islice(reads, _AT_ONCE)):
            self.input_reads += len(batch)
            if self._trims or self._has_umis:
                yield self._prepared(batch, None)
            else:
                qualities = [r.qualities.translate(_PHRED_33) for r in batch] if self._with_qualities else []
                yield [read.sequence for read in batch], qualities, []

    @property
    def fates(self) -> tuple[ReadFate, ...]:
        """Reads lost so far, one row for each reason that the settings and files make possible."""
        possible = {
            "mates_do_not_overlap": self._paired and self._settings.mates_unmerged == "drop",
            "primer_missing": self._settings.primer_action == "require",
            "umi_missing": self._has_umis,
            "umi_ambiguous": self._has_umis,
            "umi_spacer_missing": self._inline and bool(self._settings.umi_spacer),
        }
        return tuple(
            ReadFate(fate=name, reads=self._lost[name]) for name, can_be in possible.items() if can_be
        )

    @property
    def merging(self) -> MateMerging | None:
        """How mates overlapped so far; None for single reads."""
        return self._merging.summary() if self._paired else None

    @property
    def trimming(self) -> Trimming | None:
        """What was cut so far; None where no primers or adapters are listed."""
        names = ("primers_first", "primers_second", "adapters_first", "adapters_second")
        return Trimming(**{name: self._trimmed[name] for name in names}) if self._trims else None

    @property
    def _inline(self) -> bool:
        return self._settings.umi_source in ("first", "second", "both")

    def _prepared(
        self, first_reads: Sequence[Read], second_reads: Sequence[Read] | None
    ) -> tuple[list[bytes], list[bytes], list[bytes]]:
        first = ReadBatch.of([r.sequence for r in first_reads], [r.qualities for r in first_reads])
        second = (
            None
            if second_reads is None
            else ReadBatch.of([r.sequence for r in second_reads], [r.qualities for r in second_reads])
        )
        umis: list[bytes] = []
        if self._inline:
            umis, first, second = self._inline_umis(first, second)
        elif self._has_umis:
            umis, kept = self._named_umis(first_reads)
            first, second, umis = _select(kept, first, second, umis)
        if self._trims:
            first, second, kept = self._trim(first, second)
            first, second, umis = _select(kept, first, second, umis)
        reads = first
        if second is not None:
            reads, kept = self._merge(first, second)
            umis = [umi for umi, keep in zip(umis, kept.tolist(), strict=True) if keep] if umis else umis
        return reads.sequences(), reads.qualities() if self._with_qualities else [], umis

    def _trim(
        self, first: ReadBatch, second: ReadBatch | None
    ) -> tuple[ReadBatch, ReadBatch | None, NDArray[np.bool_]]:
        one = self._first.trim(first)
        if second is None:  # the other primer stands at the end, after the adapter is gone
            two = self._second.without_adapters().trim(one.reads.reverse_complement())
            first, second = two.reads.reverse_complement(), None
        else:
            two = self._second.trim(second)
            first, second = one.reads, two.reads
        for name, found in (
            ("primers_first", one.has_primer),
            ("primers_second", two.has_primer),
            ("adapters_first", one.has_adapter),
            ("adapters_second", two.has_adapter),
        ):
            self._trimmed[name] += int(found.sum())
        kept = np.ones(len(first), dtype=np.bool_)
        if self._settings.primer_action == "require":
            if self._first.primers:
                kept &= one.has_primer
            if self._second.primers:
                kept &= two.has_primer
            self._lost["primer_missing"] += int((~kept).sum())
        return first, second, kept

    def _merge(self, first: ReadBatch, second: ReadBatch) -> tuple[ReadBatch, NDArray[np.bool_]]:
        found = merge_mates(first, second, self._settings)
        self._merging.add(found)
        choice = self._settings.mates_unmerged
        if choice == "drop":
            self._lost["mates_do_not_overlap"] += int((~found.merged).sum())
            return found.reads.select(found.merged), found.merged
        alone = (first if choice == "first" else second).select(~found.merged)
        merged = found.reads.select(found.merged)
        order = np.argsort(np.concatenate((np.flatnonzero(found.merged), np.flatnonzero(~found.merged))))
        shift = len(merged.letters)
        reads = ReadBatch(
            letters=np.concatenate((merged.letters, alone.letters)),
            scores=np.concatenate((merged.scores, alone.scores)),
            starts=np.concatenate((merged.starts, alone.starts + shift))[order],
            ends=np.concatenate((merged.ends, alone.ends + shift))[order],
        )
        return reads, np.ones(len(reads), dtype=np.bool_)

    def _named_umis(self, reads: Sequence[Read]) -> tuple[list[bytes], NDArray[np.bool_]]:
        settings = self._settings
        if settings.umi_source == "tag":
            found = [umi_of_tag(read.name) for read in reads]
        else:
            found = [umi_of_name(read.name, settings.umi_delimiter) for read in reads]
        whole = np.array([len(umi) == settings.umi_length_nt for umi in found], dtype=np.bool_)
        return found, self._usable(found, whole)

    def _inline_umis(
        self, first: ReadBatch, second: ReadBatch | None
    ) -> tuple[list[bytes], ReadBatch, ReadBatch | None]:
        """UMIs off one mate, or off both, where a UMI is the first's part and then the second's.

        A pair of which either part cannot be used is lost, for the reason of the first part at fault.
        """
        source = self._settings.umi_source
        umis: list[bytes] = []
        if second is None or source != "second":
            umis, first, kept = self._take_umis(first)
            first, second, umis = _select(kept, first, second, umis)
        if second is not None and source != "first":
            behind, second, kept = self._take_umis(second)
            umis = [one + other for one, other in zip(umis, behind, strict=True)] if umis else behind
            first, second, umis = _select(kept, first, second, umis)
        return umis, first, second

    def _take_umis(self, reads: ReadBatch) -> tuple[list[bytes], ReadBatch, NDArray[np.bool_]]:
        """The UMI of every read, the reads behind it, and which have it whole."""
        length, spacer = self._settings.umi_length_nt, self._settings.umi_spacer
        behind = reads.starts + length + len(spacer)
        whole = behind <= reads.ends
        umis = reads.cut(reads.starts, np.minimum(reads.starts + length, reads.ends)).sequences()
        kept = self._usable(umis, whole)
        if spacer:
            allowed = int(self._settings.trim_max_mismatch_rate * len(spacer))
            fits = mismatches_at(reads.select(kept), length, spacer) <= allowed
            self._lost["umi_spacer_missing"] += int((~fits).sum())
            kept[kept] = fits
        return umis, reads.cut(np.where(kept, behind, reads.starts), reads.ends), kept

    def _usable(self, umis: Sequence[bytes], whole: NDArray[np.bool_]) -> NDArray[np.bool_]:
        clear = np.array([not umi.translate(None, b"ACGT") for umi in umis], dtype=np.bool_)
        self._lost["umi_missing"] += int((~whole).sum())
        self._lost["umi_ambiguous"] += int((whole & ~clear).sum())
        return whole & clear


def umi_of_name(name: str, delimiter: str) -> bytes:
    """The last field of a read's name, without comment and ``/1``; empty where it is no UMI.

    >>> umi_of_name("M1:7:FC:1:1101:5:9:ACGT+nnaa 1:N:0:1", ":"), umi_of_name("r1_ACGT/2", "_")
    (b'ACGTNNAA', b'ACGT')
    """
    word = name.split(maxsplit=1)[0] if name.strip() else ""
    if word.endswith(("/1", "/2")):
        word = word[:-2]
    _, found, field = word.rpartition(delimiter)
    return _bases(field) if found else b""


def umi_of_tag(name: str) -> bytes:
    r"""The SAM tag ``RX:Z:`` in the comment behind a read's name; empty where there is none.

    >>> umi_of_tag("r1 BC:Z:AAAA\tRX:Z:ACGT-TTTT"), umi_of_tag("r1 1:N:0")
    (b'ACGTTTTT', b'')
    """
    for field in name.split()[1:]:
        if field.startswith(_UMI_TAG):
            return _bases(field.removeprefix(_UMI_TAG))
    return b""


def _bases(field: str) -> bytes:
    bases = field.upper().translate(_DUAL)
    return b"" if set(bases) - set("ACGTN") else bases.encode("ascii")


def _select(
    kept: NDArray[np.bool_], first: ReadBatch, second: ReadBatch | None, umis: list[bytes]
) -> tuple[ReadBatch, ReadBatch | None, list[bytes]]:
    if kept.all():
        return first, second, umis
    return (
        first.select(kept),
        None if second is None else second.select(kept),
        [umi for umi, keep in zip(umis, kept.tolist(), strict=True) if keep] if umis else umis,
    )
