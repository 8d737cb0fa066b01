"""The clone at diagnosis: which rearrangement can be followed, and why the others cannot."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mrd_ngs.annotate import annotate_sequences
from mrd_ngs.denoise import fold_errors, substitution_rate
from mrd_ngs.denominator import nucleated_cells
from mrd_ngs.evidence import DistinctReads, Library, reverse_complement
from mrd_ngs.germline import germline_of
from mrd_ngs.marker_rules import Figures, MarkerRules, Verdict, rules_of
from mrd_ngs.rearrangement import Rearrangement
from mrd_ngs.settings import NgsSettings
from mrd_ngs.spike_ins import calibrate
from mrd_ngs.uniqueness import estimate_background
from mrd_ngs.window import exact_reads
from pipeline.model import Marker

__all__ = ["index_markers"]

_GROUPS_LOOKED_AT = 500  # of a locus, most abundant first: a decade below 5 % holds at most 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Reads that share a join; ``coding`` is the most abundant sequence on the coding strand.

    ``core_start`` and ``core_end`` bound, 0-based and half-open, what no germline gene holds:
    the junction where there is a whole one, else the nucleotides between the two
    segments (DJ, kappa deletions). ``core_start`` is -1 for reads with neither.
    """

    rearrangement: Rearrangement
    coding: bytes
    reads: int
    core_start: int
    core_end: int

    def window(self, flank_nt: int, least_nt: int) -> tuple[int, bytes]:
        """Place and bases of the core with its flanks, as far as the read goes."""
        flank = max(flank_nt, -(-(least_nt - (self.core_end - self.core_start)) // 2))
        start = max(0, self.core_start - flank)
        return start, self.coding[start : self.core_end + flank]


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
        Which marker rules (`mrd_ngs.marker_rules.rules_of`), and the window.

    Returns
    -------
    tuple of Marker
        Every candidate looked at, by locus and falling number of reads, taken or not, each
        with its reason. Of one and the same library in any order of reads always the same.
        None taken is a result: there is no trackable clone.

    Notes
    -----
    Each locus is judged on its own reads: DJ counts with IGH, kappa deletions with IGK.
    Without calibration the rules on cells and templates cannot be tested; a candidate
    is then taken by the other rules, and its reason says so. A rearrangement without a
    whole junction is followed by the window around its join. Reads that end before J
    count for their locus but are no candidates.
    """
    rules = rules_of(settings)
    common, rest = _split(library.reads, settings)
    annotated = _annotate(library.reads, common, settings)
    sampled = _annotate(library.reads, rest[:: max(1, len(rest) // settings.tail_sequences)], settings)
    tail_reads = int(library.reads.counts[list(rest)].sum()) if rest else 0
    share_of_tail = _locus_shares(sampled)
    least = int(library.reads.counts[common[-1]]) if common else 0
    return tuple(
        marker
        for locus, groups in sorted(_groups(annotated, settings).items())
        for marker in _markers_of_locus(
            locus,
            groups,
            sum(g.reads for g in groups) + round(tail_reads * share_of_tail.get(locus, 0.0)),
            least,
            library,
            rules,
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


def _annotate(reads: DistinctReads, ranks: Sequence[int], settings: NgsSettings) -> list[_Group]:
    """The sequences at these ranks that hold a rearrangement, each as a group of its own."""
    sequences = [reads.sequence(rank) for rank in ranks]
    found = annotate_sequences([s.decode() for s in sequences], germline_of(settings))
    groups = []
    for rank, sequence, rearrangement in zip(ranks, sequences, found, strict=True):
        if rearrangement is not None:
            start, end = _core(rearrangement)
            groups.append(
                _Group(
                    rearrangement=rearrangement,
                    coding=reverse_complement(sequence) if rearrangement.rev_comp else sequence,
                    reads=int(reads.counts[rank]),
                    core_start=start,
                    core_end=end,
                )
            )
    return groups


def _core(rearrangement: Rearrangement) -> tuple[int, int]:
    """The junction, or what lies between the two segments of a rearrangement that has none."""
    r = rearrangement
    if r.kind == "DJ":
        return r.d_end, r.j_start
    if r.kind in ("V-Kde", "intron-Kde"):
        return r.v_end, r.j_start
    return r.junction_start, r.junction_end


def _locus_shares(annotated: Sequence[_Group]) -> dict[str, float]:
    """Share of each locus in the reads of a sample of sequences."""
    total = sum(group.reads for group in annotated)
    reads: Counter[str] = Counter()
    for group in annotated:
        reads[group.rearrangement.locus] += group.reads
    return {locus: count / total for locus, count in reads.items()}


def _groups(annotated: Sequence[_Group], settings: NgsSettings) -> dict[str, list[_Group]]:
    """Sequences with the same junction or join as one group, by locus, most abundant first."""
    merged: dict[tuple[str, str], _Group] = {}
    for one in annotated:  # most abundant first, so that it represents its group
        key = (one.rearrangement.locus, _identity(one, settings))
        seen = merged.get(key)
        merged[key] = one if seen is None else dataclasses.replace(seen, reads=seen.reads + one.reads)
    groups: dict[str, list[_Group]] = {}
    for key in sorted(merged, key=lambda k: (-merged[k].reads, k)):
        groups.setdefault(key[0], []).append(merged[key])
    return groups


def _identity(group: _Group, settings: NgsSettings) -> str:
    """What tells it from other groups of the locus: its junction, or the window around its join."""
    if group.core_start < 0 or group.rearrangement.junction:
        return group.rearrangement.junction
    return group.window(settings.window_flank_nt, settings.window_min_nt)[1].decode()


def _markers_of_locus(
    locus: str,
    groups: Sequence[_Group],
    locus_reads: int,
    least: int,
    library: Library,
    rules: MarkerRules,
    settings: NgsSettings,
) -> Iterator[Marker]:
    named = [(_identity(g, settings), g) for g in groups if g.core_start >= 0]
    candidates = _without_satellites(named, library, settings)
    for number, (identity, group) in enumerate(candidates[: settings.candidates_listed], start=1):
        next_decade = sum(
            10 * other.reads >= group.reads and not _is_relative(other_identity, identity)
            for other_identity, other in candidates[number:]
        )
        # Below the least sequence annotated nothing was counted, and the words must say so.
        decade = _Decade(others=next_decade, is_least=10 * least > group.reads)
        yield _judge(f"{locus}-{number}", group, locus_reads, decade, library, rules, settings)


def _without_satellites(
    groups: Sequence[tuple[str, _Group]], library: Library, settings: NgsSettings
) -> list[tuple[str, _Group]]:
    """The leading groups but for those that errors in more abundant ones explain; most abundant first."""
    leading = groups[:_GROUPS_LOOKED_AT]
    folding = fold_errors(
        [identity.encode() for identity, _ in leading],
        np.array([group.reads for _, group in leading], dtype=np.int64),
        error_rate=substitution_rate(library, settings),
        safety=settings.denoise_safety,
        alpha=settings.denoise_alpha,
    )
    return [group for group, kept in zip(leading, folding.is_kept, strict=True) if kept]


def _is_relative(one: str, other: str) -> bool:
    """Whether two junctions differ in one base: a subclone, or an error that PCR copied, no background."""
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decade:
    """Other sequences with at least a tenth of the candidate's reads; there may be more of them."""

    others: int
    is_least: bool


def _judge(
    target_id: str,
    group: _Group,
    locus_reads: int,
    decade: _Decade,
    library: Library,
    rules: MarkerRules,
    settings: NgsSettings,
) -> Marker:
    rearrangement, germline = group.rearrangement, germline_of(settings)
    start, window = group.window(settings.window_flank_nt, settings.window_min_nt)
    trackable = not window.translate(None, b"ACGT") and len(window) >= settings.window_min_nt
    reads = exact_reads(library.reads, window) if trackable else group.reads
    calibration = calibrate(
        library.spike_in_reads,
        library.spike_ins,
        window_nt=len(window),
        settings=settings,
        counted=library.counted,
    )
    templates = None if calibration is None else reads / calibration.reads_per_template
    cells = nucleated_cells(library.sample)
    fraction = None if templates is None or cells is None else templates / cells.count
    background = estimate_background(rearrangement, window, start, germline) if trackable else None
    figures = Figures(
        share_of_locus=reads / locus_reads if locus_reads else 0.0,
        fraction_of_cells=fraction,
        templates=templates,
        next_decade=decade.others,
        next_decade_is_least=decade.is_least,
        background=None if background is None else background.of_cells,
    )
    verdict = rules.judge(figures)
    taken, reason = _in_words(verdict, trackable, rules.name)
    return Marker(
        patient_id=library.sample.patient_id,
        target_id=target_id,
        locus=rearrangement.locus,
        v_call=rearrangement.v_call,
        d_call=rearrangement.d_call,
        j_call=rearrangement.j_call,
        junction=rearrangement.junction,
        sequence=window.decode(),
        reads=reads,
        locus_reads=locus_reads,
        templates=templates,
        fraction_of_cells=fraction,
        taken=taken,
        reason=reason,
        kind=rearrangement.kind,
        background_fraction=figures.background,
        rule_set=rules.name,
        germline=germline.version,
    )


def _in_words(verdict: Verdict, trackable: bool, rule_set: str) -> tuple[bool, str]:
    """Whether the candidate is taken, and why or why not."""
    failed, passed = list(verdict.failed), list(verdict.passed)
    if not trackable:
        failed.insert(0, "its window is cut short by the read or holds an ambiguous base")
    if verdict.untested:
        passed.append(f"{' and '.join(verdict.untested)} unknown, so the rules on them are not tested")
    said = f"not taken: {'; '.join(failed)}" if failed else f"taken: {'; '.join(passed)}"
    return not failed, f"{said}; by {rule_set}"
