"""BAM or CRAM to evidence, window by window."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pipeline.errors import InputRefused
from pipeline.formats.bed import Target
from pipeline.variants.evidence import SiteEvidence
from pipeline.variants.molecules.grouping import group_molecules
from pipeline.variants.molecules.intake import AlignedReads, ready_alignments
from pipeline.variants.molecules.pileup import Piles, reference_bases
from pipeline.variants.molecules.records import RecordStream
from pipeline.variants.molecules.settings import MoleculeSettings
from pipeline.variants.molecules.tally import ReadTally
from pipeline.variants.molecules.windows import Stretch, cut_targets, stretches
from pipeline.variants.reference import Reference

__all__ = ["read_evidence"]

_MANY_WITHOUT_UMI = 10_000  # reads, none of them with one, after which a file is given up


def read_evidence(
    path: Path,
    reference: Reference,
    targets: Sequence[Target],
    settings: MoleculeSettings | None = None,
    *,
    threads: int = 1,
    tally: ReadTally | None = None,
) -> Iterator[SiteEvidence]:
    """Molecules of a BAM or CRAM file over the sites of targets.

    Parameters
    ----------
    path
        BAM or CRAM; sorted and indexed temporarily where it is not.
    reference
        The reference that the reads were aligned to.
    targets
        Sorted as the BAM file's contigs, not overlapping (`pipeline.formats.bed.read_targets`).
    settings
        Run choices; the defaults where None.
    threads
        How many stretches of targets are worked on at once; changes no result.
    tally
        Filled with what became of the alignments, if given; complete when the iterator ends.

    Yields
    ------
    SiteEvidence
        Every target site once, in the order of the targets.

    Raises
    ------
    InputRefused
        If the file is of another reference, holds nothing, or has no UMIs where they were asked for.
    DamagedFile
        If it is cut short, corrupt, or not sorted as it says.
    """
    settings = settings or MoleculeSettings()
    tally = tally if tally is not None else ReadTally()
    with ready_alignments(path, reference, targets) as reads:
        order = {name: i for i, name in enumerate(reads.contigs)}
        work = [
            (reads, stretch, reference, settings)
            for stretch in stretches(sorted(targets, key=lambda t: (order[t.contig], t.start)))
        ]
        for windows, counted in _in_order(work, threads):
            tally.add(counted)
            _require_umis(path, tally, settings, at_least=_MANY_WITHOUT_UMI)
            yield from windows
    _require_umis(path, tally, settings, at_least=1)


_Work = tuple[AlignedReads, Stretch, Reference, MoleculeSettings]


def _in_order(work: list[_Work], threads: int) -> Iterator[tuple[list[SiteEvidence], ReadTally]]:
    """Results in the order of work; a few more stretches than threads are held at once."""
    if threads <= 1:
        for item in work:
            yield from _stretch_windows(*item)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[list[tuple[list[SiteEvidence], ReadTally]]]] = deque()
        rest = iter(work)
        for item in rest:
            waiting.append(pool.submit(lambda i: list(_stretch_windows(*i)), item))
            if len(waiting) > threads:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _stretch_windows(
    reads: AlignedReads, stretch: Stretch, reference: Reference, settings: MoleculeSettings
) -> Iterator[tuple[list[SiteEvidence], ReadTally]]:
    """Windows of one stretch, cut where the records loaded complete a fragment's length of sites."""
    reach = settings.max_fragment_nt
    with RecordStream(reads, stretch.contig, stretch.start - reach, stretch.end + reach, settings) as stream:
        site, counted_to = stretch.start, stretch.start - reach
        while site < stretch.end:
            stream.load(settings.records_at_once)
            complete = stretch.end if stream.ended else min(stream.position - reach, stretch.end)
            if complete < min(site + reach, stretch.end):
                continue
            parts = cut_targets(stretch.targets, site, complete)
            tally = stream.take_tally()
            counting = (counted_to, stretch.end + reach if complete == stretch.end else complete)
            yield _windows(stream, stretch.contig, parts, reference, settings, tally, counting), tally
            site, counted_to = complete, counting[1]
            stream.drop_before(site - reach)


def _windows(
    stream: RecordStream,
    contig: str,
    parts: Sequence[tuple[int, int]],
    reference: Reference,
    settings: MoleculeSettings,
    tally: ReadTally,
    counting: tuple[int, int],
) -> list[SiteEvidence]:
    """Evidence of parts of targets, all of whose records are loaded.

    ``tally`` counts the fragments that begin in ``counting``; others were counted, or will be.
    """
    if not parts:
        return []
    if not len(stream.table):
        has_umis = settings.umi.kind != "none"
        return [
            SiteEvidence.empty(contig, *part, reference_bases(reference, contig, *part), has_umis=has_umis)
            for part in parts
        ]
    families = group_molecules(stream.data, stream.table, stream.umi_lengths, settings)
    sites = (contig, parts[0][0], parts[-1][1])
    piles = Piles(stream.data, stream.table, families, sites, reference, settings)
    windows = [piles.evidence(*part) for part in parts]
    begins = families.begins(stream.table)
    counted = (begins >= counting[0]) & (begins < counting[1])
    tally.fragments += int(counted.sum())
    tally.without_mate += int((families.pairs[counted] < 0).any(axis=1).sum())
    tally.molecules += sum(w.molecules for w in windows)
    return windows


def _require_umis(path: Path, tally: ReadTally, settings: MoleculeSettings, *, at_least: int) -> None:
    without = tally.alignments["without_umi"]
    if tally.alignments["kept"] or without < at_least:
        return
    places = {
        "tag": "in an RX tag",
        "header": "at the end of its name",
        "inline": "of that length at its start",
    }
    raise InputRefused(
        f"no read has a UMI {places[settings.umi.kind]} ({without:,} looked at)",
        path=path,
        expected="UMIs where --umi says they are",
        remedy="--umi none groups by fragment ends alone; --umi header or inline:4+4 reads UMIs elsewhere",
    )
