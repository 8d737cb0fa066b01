"""Files of one sample to evidence: FASTQ and spike-in sheet in, one `Library` out."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.annotate import annotate_sequences
from mrd_ngs.evidence import DistinctReads, Library, NgsSettings, ReadFate, SpikeIn, reverse_complement
from mrd_ngs.germline import load_germline
from mrd_ngs.spike_ins import parse_spike_ins
from mrd_ngs.window import window_mismatches
from pipeline.errors import InputRefused
from pipeline.formats.digest import sha256_file, sha256_joined
from pipeline.formats.fastq import check_reads, read_fastq
from pipeline.model import Sample

__all__ = ["check_sample", "read_library", "read_spike_ins"]

_SPIKE_IN_MISMATCHES = 2


def read_library(sample: Sample, settings: NgsSettings) -> Library:
    """Read one sample's FASTQ file and dereplicate it.

    Parameters
    ----------
    sample
        One file of merged or single reads; its spike-in sheet where it has one.
    settings
        Read and window lengths.

    Returns
    -------
    Library
        The same for any order of the reads and either strand of each.

    Raises
    ------
    DamagedFile
        If the FASTQ file is damaged or empty.
    InputRefused
        If mates are given, the spike-in sheet is refused, or no read is long enough.

    Notes
    -----
    Memory grows with the number of distinct sequences, not of reads: some 0.3 kB each.
    Bases are not weighed by quality; a read with an error in the window is not counted,
    and a spike-in read neither, so that the ratio stays.
    """
    _refuse_mates(sample)
    counts: Counter[bytes] = Counter()
    total = short = 0
    for read in read_fastq(sample.files[0], max_length=settings.max_read_nt):
        total += 1
        if len(read.sequence) < settings.min_read_nt:
            short += 1
        else:
            counts[read.sequence] += 1
    if not counts:
        raise InputRefused(
            f"all {total:,} reads are shorter than {settings.min_read_nt} nucleotides",
            path=sample.files[0],
            expected="reads across the V(D)J junction",
        )
    reads = DistinctReads.from_counts(counts)
    spike_ins = () if sample.spike_ins is None else read_spike_ins(sample.spike_ins)
    is_spike_in, fates = _sort_out(reads, spike_ins, settings)
    return Library(
        sample=sample,
        reads=reads.subset(~is_spike_in) if is_spike_in.any() else reads,
        spike_ins=spike_ins,
        spike_in_reads=reads.subset(is_spike_in),
        input_reads=total,
        fates=(*fates, ReadFate(fate="too_short", reads=short)),
        input_sha256=sha256_joined(sha256_file(path) for path in sample.files),
    )


def check_sample(sample: Sample) -> None:
    """Find a sample's files undamaged and of a kind this assay can use.

    Raises
    ------
    DamagedFile, InputRefused
        As `read_library`.
    """
    _refuse_mates(sample)
    check_reads(*sample.files)
    if sample.spike_ins is not None:
        _read_sheet(sample.spike_ins)


def read_spike_ins(path: Path) -> tuple[SpikeIn, ...]:
    """Read a spike-in sheet and place each window where the spike-in is unlike other sequences.

    A spike-in that is itself a rearrangement (a cell line's, a synthetic V(D)J) shares
    its V and J with the patient's cells; only its junction is its own. So its window is
    centred on the junction; any other spike-in's on its middle.

    Raises
    ------
    SheetRefused, InputRefused
        If the sheet cannot be used.
    """
    spike_ins = _read_sheet(path)
    found = annotate_sequences([s.sequence.decode() for s in spike_ins], load_germline())
    return tuple(
        spike_in
        if rearrangement is None or not rearrangement.junction
        else dataclasses.replace(
            spike_in,
            sequence=reverse_complement(spike_in.sequence) if rearrangement.rev_comp else spike_in.sequence,
            centre=(rearrangement.junction_start + rearrangement.junction_end) // 2,
        )
        for spike_in, rearrangement in zip(spike_ins, found, strict=True)
    )


def _read_sheet(path: Path) -> tuple[SpikeIn, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputRefused(f"the spike-in sheet cannot be read ({error.strerror})", path=path) from error
    except UnicodeDecodeError as error:
        raise InputRefused("the spike-in sheet is not text in UTF-8", path=path) from error
    return parse_spike_ins(text, path=path)


def _refuse_mates(sample: Sample) -> None:
    if len(sample.files) > 1:
        raise InputRefused(
            "paired reads are not merged yet",
            path=sample.files[1],
            expected="one FASTQ file of merged (or single) reads across the junction",
            remedy="merge the mates by their overlap first",
        )


def _sort_out(
    reads: DistinctReads, spike_ins: Sequence[SpikeIn], settings: NgsSettings
) -> tuple[NDArray[np.bool_], tuple[ReadFate, ...]]:
    """Which sequences carry a spike-in, and the reads of each kind."""
    fewest = np.full(len(reads), _SPIKE_IN_MISMATCHES + 1, dtype=np.int64)
    for spike_in in spike_ins:
        window = spike_in.window(settings.spike_in_window_nt)
        indices, mismatches = window_mismatches(reads, window, max_mismatches=_SPIKE_IN_MISMATCHES)
        fewest[indices] = np.minimum(fewest[indices], mismatches)
    exact, near = fewest == 0, (fewest > 0) & (fewest <= _SPIKE_IN_MISMATCHES)
    ambiguous = ~exact & ~near & _holds_n(reads)
    kept = ~exact & ~near & ~ambiguous
    kinds = {"kept": kept, "ambiguous_bases": ambiguous, "spike_in": exact, "spike_in_with_errors": near}
    fates = tuple(ReadFate(fate=name, reads=int(reads.counts[which].sum())) for name, which in kinds.items())
    return exact | near, fates


def _holds_n(reads: DistinctReads) -> NDArray[np.bool_]:
    """Sequences with an ambiguous base; they are kept, and count where the window is clear of it."""
    places = np.flatnonzero(np.frombuffer(reads.blob, dtype=np.uint8) == ord("N"))
    holds = np.zeros(len(reads), dtype=np.bool_)
    holds[np.searchsorted(reads.starts, places, side="right") - 1] = True
    return holds
