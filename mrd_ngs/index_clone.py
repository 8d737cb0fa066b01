"""The clone at diagnosis: which rearrangement can be followed, and why the others cannot."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mrd_ngs.annotate import annotate_sequences
from mrd_ngs.denoise import fold_errors, substitution_rate
from mrd_ngs.denominator import nucleated_cells
from mrd_ngs.evidence import DistinctReads, Library, NgsSettings, reverse_complement
from mrd_ngs.germline import load_germline
from mrd_ngs.rearrangement import Rearrangement
from mrd_ngs.spike_ins import calibrate
from mrd_ngs.window import window_mismatches
from pipeline.model import Marker

__all__ = ["index_markers"]

_GROUPS_LOOKED_AT = 500  # of a locus, most abundant first: a decade below 5 % holds at most 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Reads that share a junction; ``coding`` is the most abundant sequence on the coding strand."""

    rearrangement: Rearrangement
    coding: bytes
    reads: int


def index_markers(library: Library, settings: NgsSettings) -> tuple[Marker, ...]:
    """Find the rearrangements by which a patient's clone can be followed.

    The abundant distinct sequences are annotated and grouped by junction; groups that errors
    in more abundant ones explain are left out (`denoise`). The leading groups of each
    locus are held against the marker rules of ``settings``. How the reads of the other
    sequences divide over the loci is estimated from an evenly spaced sample of them.

    Parameters
    ----------
    library
        The baseline sample.
    settings
        Marker rules.

    Returns
    -------
    tuple of Marker
        Every candidate looked at, by locus and falling number of reads, taken or not. Of
        one and the same library in any order of reads always the same.

    Notes
    -----
    Without calibration the rules on cells and templates cannot be tested; a candidate
    is then taken by its share of reads alone, and its reason says so. Rearrangements
    without a whole junction (DJ, kappa deleting element) are not candidates yet. A
    light-chain junction without N nucleotides can be shared by unrelated cells: its
    background is not estimated here.
    """
    common, rest = _split(library.reads, settings)
    annotated = _annotate(library.reads, common)
    sampled = _annotate(library.reads, rest[:: max(1, len(rest) // settings.tail_sequences)])
    tail_reads = int(library.reads.counts[list(rest)].sum()) if rest else 0
    share_of_tail = _locus_shares(sampled)
    least = int(library.reads.counts[common[-1]]) if common else 0
    return tuple(
        marker
        for locus, groups in sorted(_groups(annotated).items())
        for marker in _markers_of_locus(
            locus,
            groups,
            sum(g.reads for g in groups) + round(tail_reads * share_of_tail.get(locus, 0.0)),
            least,
            library,
            settings,
        )
    )


def _split(reads: DistinctReads, settings: NgsSettings) -> tuple[range, range]:
    """Ranks of the sequences that could matter to a marker rule, and of the rest.

    A marker has a share s of its locus, the decade below it begins at s/10, and a locus
    that matters has some share of all reads: with 5 % each, 0.025 % of the reads. Rarer
    sequences, and those read once, only add up to the reads of their locus.
    """
    least = max(2.0, settings.annotated_share_min * float(reads.counts.sum()))
    common = min(int((reads.counts >= least).sum()), settings.annotated_sequences_max)
    return range(common), range(common, len(reads))


def _annotate(reads: DistinctReads, ranks: Sequence[int]) -> list[_Group]:
    """The sequences at these ranks that hold a rearrangement, each as a group of its own."""
    sequences = [reads.sequence(rank) for rank in ranks]
    found = annotate_sequences([s.decode() for s in sequences], load_germline())
    return [
        _Group(
            rearrangement=rearrangement,
            coding=reverse_complement(sequence) if rearrangement.rev_comp else sequence,
            reads=int(reads.counts[rank]),
        )
        for rank, sequence, rearrangement in zip(ranks, sequences, found, strict=True)
        if rearrangement is not None
    ]


def _locus_shares(annotated: Sequence[_Group]) -> dict[str, float]:
    """Share of each locus in the reads of a sample of sequences."""
    total = sum(group.reads for group in annotated)
    reads: Counter[str] = Counter()
    for group in annotated:
        reads[group.rearrangement.locus] += group.reads
    return {locus: count / total for locus, count in reads.items()}


def _groups(annotated: Sequence[_Group]) -> dict[str, list[_Group]]:
    """Sequences with the same junction as one group, by locus, most abundant first."""
    merged: dict[tuple[str, str], _Group] = {}
    for one in annotated:  # most abundant first, so that it represents its group
        key = (one.rearrangement.locus, one.rearrangement.junction)
        seen = merged.get(key)
        merged[key] = one if seen is None else dataclasses.replace(seen, reads=seen.reads + one.reads)
    groups: dict[str, list[_Group]] = {}
    for key in sorted(merged, key=lambda k: (-merged[k].reads, k)):
        groups.setdefault(key[0], []).append(merged[key])
    return groups


def _markers_of_locus(
    locus: str,
    groups: Sequence[_Group],
    locus_reads: int,
    least: int,
    library: Library,
    settings: NgsSettings,
) -> Iterator[Marker]:
    candidates = _without_satellites([g for g in groups if g.rearrangement.junction], library, settings)
    for number, group in enumerate(candidates[: settings.candidates_listed], start=1):
        window = _window(group, settings)
        next_decade = sum(
            10 * other.reads >= group.reads and not _is_relative(other, group)
            for other in candidates[number:]
        )
        # Below the least sequence annotated nothing was counted, and the words must say so.
        others = f"{'at least ' if 10 * least > group.reads else ''}{next_decade}"
        rules = _Rules(settings=settings, next_decade=next_decade, next_decade_words=others)
        yield _judge(f"{locus}-{number}", group, window, locus_reads, rules, library)


def _without_satellites(groups: Sequence[_Group], library: Library, settings: NgsSettings) -> list[_Group]:
    """The leading groups but for those that errors in more abundant ones explain; most abundant first."""
    leading = groups[:_GROUPS_LOOKED_AT]
    folding = fold_errors(
        [group.rearrangement.junction.encode() for group in leading],
        np.array([group.reads for group in leading], dtype=np.int64),
        error_rate=substitution_rate(library, settings),
        safety=settings.denoise_safety,
        alpha=settings.denoise_alpha,
    )
    return [group for group, kept in zip(leading, folding.is_kept, strict=True) if kept]


def _is_relative(one: _Group, other: _Group) -> bool:
    """Whether two junctions differ in one base: a subclone, or an error that PCR copied, no background."""
    pair = (one.rearrangement.junction, other.rearrangement.junction)
    return len(pair[0]) == len(pair[1]) and sum(a != b for a, b in zip(*pair, strict=True)) == 1


def _window(group: _Group, settings: NgsSettings) -> bytes:
    """The junction with its flanks, as far as the read goes; at least the shortest window allowed."""
    start, end = group.rearrangement.junction_start, group.rearrangement.junction_end
    flank = max(settings.window_flank_nt, -(-(settings.window_min_nt - (end - start)) // 2))
    return group.coding[max(0, start - flank) : end + flank]


def _judge(
    target_id: str, group: _Group, window: bytes, locus_reads: int, rules: "_Rules", library: Library
) -> Marker:
    settings = rules.settings
    trackable = not window.translate(None, b"ACGT") and len(window) >= settings.window_min_nt
    reads = _exact_reads(library, window) if trackable else group.reads
    calibration = calibrate(
        library.spike_in_reads, library.spike_ins, window_nt=len(window), settings=settings
    )
    templates = None if calibration is None else reads / calibration.reads_per_template
    cells = nucleated_cells(library.sample)
    fraction = None if templates is None or cells is None else templates / cells.count
    share = reads / locus_reads if locus_reads else 0.0
    failed, passed = rules.judge(share, templates, fraction)
    if not trackable:
        failed.insert(0, "its window is cut short by the read or holds an ambiguous base")
    return Marker(
        patient_id=library.sample.patient_id,
        target_id=target_id,
        locus=group.rearrangement.locus,
        v_call=group.rearrangement.v_call,
        d_call=group.rearrangement.d_call,
        j_call=group.rearrangement.j_call,
        junction=group.rearrangement.junction,
        sequence=window.decode(),
        reads=reads,
        locus_reads=locus_reads,
        templates=templates,
        fraction_of_cells=fraction,
        taken=not failed,
        reason=("not taken: " + "; ".join(failed)) if failed else ("taken: " + "; ".join(passed)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    """The marker rules, and how many sequences lie in the decade below the candidate."""

    settings: NgsSettings
    next_decade: int
    next_decade_words: str

    def judge(
        self, share: float, templates: float | None, fraction: float | None
    ) -> tuple[list[str], list[str]]:
        """Each rule in words, by whether the candidate failed or passed it."""
        settings = self.settings
        failed: list[str] = []
        passed: list[str] = []

        def test(met: bool, what: str, rule: str) -> None:
            (passed if met else failed).append(f"{what} (rule: {rule})")

        test(
            share >= settings.marker_min_share,
            f"{100 * share:.2g} % of its locus' reads",
            f"at least {100 * settings.marker_min_share:g} %, unverified",
        )
        if fraction is not None:
            test(
                fraction >= settings.marker_min_cell_fraction,
                f"{100 * fraction:.2g} % of nucleated cells",
                f"at least {100 * settings.marker_min_cell_fraction:g} %",
            )
        if templates is not None:
            test(
                templates >= settings.marker_min_templates,
                f"{templates:,.0f} templates",
                f"at least {settings.marker_min_templates:g}",
            )
        test(
            self.next_decade <= settings.marker_max_next_decade,
            f"{self.next_decade_words} other sequences in the next decade of frequency",
            f"at most {settings.marker_max_next_decade}",
        )
        if templates is None or fraction is None:
            unknown = "cells" if templates is not None else "templates and cells"
            passed.append(f"{unknown} unknown, so the rules on them are not tested")
        return failed, passed


def _exact_reads(library: Library, window: bytes) -> int:
    indices, _ = window_mismatches(library.reads, window)
    return int(library.reads.counts[indices].sum())
