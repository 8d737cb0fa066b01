"""Files of one sample to evidence: FASTQ and spike-in sheet in, one `Library` out."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrd_ngs.annotate import annotate_sequences
from mrd_ngs.clear_junction import clear_junction
from mrd_ngs.cyclic_garbage import cycles_ignored
from mrd_ngs.evidence import DistinctReads, Library, ReadFate, SpikeIn, reverse_complement
from mrd_ngs.germline import GermlineSet, load_germline
from mrd_ngs.preparation import Preparation
from mrd_ngs.settings import NgsSettings
from mrd_ngs.spike_ins import parse_spike_ins
from mrd_ngs.umi import UmiCollector
from mrd_ngs.window import fewest_mismatches
from pipeline.errors import InputRefused
from pipeline.formats.digest import sha256_file, sha256_joined
from pipeline.formats.fastq import check_reads
from pipeline.model import Sample

__all__ = ["check_sample", "read_library", "read_spike_ins"]

_SPIKE_IN_MISMATCHES = 2


def read_library(sample: Sample, settings: NgsSettings) -> Library:
    """Read one sample's FASTQ files and dereplicate them.

    Parameters
    ----------
    sample
        One file of merged or single reads, or two of mates; its spike-in sheet where it has one.
    settings
        Mates, primers and adapters, UMIs; read and window lengths.

    Returns
    -------
    Library
        The same for any order of the reads. Of single reads from which nothing is to be cut,
        also the same for either strand of each.

    Raises
    ------
    DamagedFile
        If a FASTQ file is damaged or empty, or mates do not belong together.
    InputRefused
        If there are more than two files, the spike-in sheet is refused, or no read is left.

    Notes
    -----
    Memory grows with the number of distinct sequences, not of reads: some 0.3 kB each, or
    1 kB each distinct pair of UMI and sequence. Without mates or UMIs bases are not weighed
    by quality; a read with an error in the window is not counted, and a spike-in read
    neither, so that the ratio stays. With UMIs clone and spike-ins are counted in molecules alike.
    """
    preparation = Preparation(sample.files, settings)
    with cycles_ignored():
        counts, collector, short = _collect(preparation, settings)
    molecules = None if collector is None else collector.resolve(settings)
    lost = (ReadFate(fate="too_short", reads=short), *preparation.fates)
    if molecules is not None:
        lost = (*lost, ReadFate(fate="umi_family_too_small", reads=molecules.too_small))
        counts = molecules.molecules
    if not counts:
        raise _nothing_left(sample.files[0], preparation.input_reads, lost, settings)
    reads = DistinctReads.from_counts(counts)
    spike_ins = () if sample.spike_ins is None else read_spike_ins(sample.spike_ins)
    kinds = _sort_out(reads, spike_ins, settings)
    is_spike_in = kinds["spike_in"] | kinds["spike_in_with_errors"]
    weights = reads.counts if molecules is None else _reads_behind(reads, molecules.reads)
    fates = [ReadFate(fate=name, reads=int(weights[which].sum())) for name, which in kinds.items()]
    return Library(
        sample=sample,
        reads=reads.subset(~is_spike_in) if is_spike_in.any() else reads,
        spike_ins=spike_ins,
        spike_in_reads=reads.subset(is_spike_in),
        input_reads=preparation.input_reads,
        fates=(*fates, *lost),
        input_sha256=sha256_joined(sha256_file(path) for path in sample.files),
        counted="reads" if molecules is None else "molecules",
        merging=preparation.merging,
        trimming=preparation.trimming,
        umis=None if molecules is None else molecules.counting,
    )


def check_sample(sample: Sample) -> None:
    """Find a sample's files undamaged and of a kind this assay can use.

    Raises
    ------
    DamagedFile, InputRefused
        As `read_library`.
    """
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
    return tuple(_centred(_read_sheet(path), load_germline()))


def _centred(spike_ins: Sequence[SpikeIn], germline: GermlineSet) -> Iterator[SpikeIn]:
    """Spike-ins on the coding strand, centred on the junction where there is one."""
    clear = [clear_junction(spike_in.sequence, germline) for spike_in in spike_ins]
    unclear = [s.sequence.decode() for s, found in zip(spike_ins, clear, strict=True) if found is None]
    others = iter(annotate_sequences(unclear, germline) if unclear else [])
    for spike_in, found in zip(spike_ins, clear, strict=True):
        sequence, centre = spike_in.sequence, spike_in.centre
        if found is not None:
            sequence, centre = found.coding, (found.start + found.end) // 2
        elif (rearrangement := next(others)) is not None and rearrangement.junction:
            sequence = reverse_complement(sequence) if rearrangement.rev_comp else sequence
            centre = (rearrangement.junction_start + rearrangement.junction_end) // 2
        yield dataclasses.replace(spike_in, sequence=sequence, centre=centre)


def _read_sheet(path: Path) -> tuple[SpikeIn, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputRefused(f"the spike-in sheet cannot be read ({error.strerror})", path=path) from error
    except UnicodeDecodeError as error:
        raise InputRefused("the spike-in sheet is not text in UTF-8", path=path) from error
    return parse_spike_ins(text, path=path)


def _collect(
    preparation: Preparation, settings: NgsSettings
) -> tuple[Mapping[bytes, int], UmiCollector | None, int]:
    """Prepared reads by sequence, or with UMIs in a collector, and how many were too short."""
    counts: Counter[bytes] = Counter()
    collector = UmiCollector() if settings.umi_source != "none" else None
    short = 0
    for sequences, qualities, umis in preparation.batches():
        if collector is None:
            long = [sequence for sequence in sequences if len(sequence) >= settings.min_read_nt]
            short += len(sequences) - len(long)
            counts.update(long)
            continue
        for umi, sequence, quality in zip(umis, sequences, qualities, strict=True):
            if len(sequence) < settings.min_read_nt:
                short += 1
            else:
                collector.add(umi, sequence, quality)
    return counts, collector, short


def _nothing_left(path: Path, total: int, lost: Sequence[ReadFate], settings: NgsSettings) -> InputRefused:
    reasons = {fate.fate: fate.reads for fate in lost if fate.reads}
    if reasons.get("too_short") == total:
        return InputRefused(
            f"all {total:,} reads are shorter than {settings.min_read_nt} nucleotides",
            path=path,
            expected="reads across the V(D)J junction",
        )
    listed = ", ".join(f"{name} {reads:,}" for name, reads in reasons.items())
    return InputRefused(
        f"none of {total:,} reads can be used ({listed})",
        path=path,
        expected="reads across the V(D)J junction, made up as the settings of mates, primers and UMIs say",
    )


def _reads_behind(reads: DistinctReads, by_sequence: Mapping[bytes, int]) -> NDArray[np.int64]:
    """Reads behind each consensus sequence, shape (sequences,)."""
    return np.array([by_sequence[reads.sequence(i)] for i in range(len(reads))], dtype=np.int64)


def _sort_out(
    reads: DistinctReads, spike_ins: Sequence[SpikeIn], settings: NgsSettings
) -> dict[str, NDArray[np.bool_]]:
    """Which sequences are of which kind; every one is of one."""
    windows = [spike_in.window(settings.spike_in_window_nt) for spike_in in spike_ins]
    fewest = fewest_mismatches(reads, windows, max_mismatches=_SPIKE_IN_MISMATCHES)
    exact, near = fewest == 0, (fewest > 0) & (fewest <= _SPIKE_IN_MISMATCHES)
    ambiguous = ~exact & ~near & _holds_n(reads)
    kept = ~exact & ~near & ~ambiguous
    return {"kept": kept, "ambiguous_bases": ambiguous, "spike_in": exact, "spike_in_with_errors": near}


def _holds_n(reads: DistinctReads) -> NDArray[np.bool_]:
    """Sequences with an ambiguous base; they are kept, and count where the window is clear of it."""
    places = np.flatnonzero(np.frombuffer(reads.blob, dtype=np.uint8) == ord("N"))
    holds = np.zeros(len(reads), dtype=np.bool_)
    holds[np.searchsorted(reads.starts, places, side="right") - 1] = True
    return holds
