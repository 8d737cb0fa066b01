"""The clone at diagnosis: which rearrangement can be followed, and why the others cannot."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mrd_ngs.annotate import annotate_sequences
from mrd_ngs.denominator import nucleated_cells
from mrd_ngs.evidence import Library, NgsSettings, reverse_complement
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

    The most abundant distinct sequences are annotated and grouped by junction; groups
    at one mismatch from a far more abundant one are its errors. The leading groups of
    each locus are held against the marker rules of ``settings``.

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
    groups, annotated_share = _groups(library, settings)
    return tuple(
        marker
        for locus in sorted(groups)
        for marker in _markers_of_locus(locus, groups[locus], annotated_share, library, settings)
    )


def _groups(library: Library, settings: NgsSettings) -> tuple[dict[str, list[_Group]], float]:
    """Groups of each locus, most abundant first, and the annotated share of the reads."""
    reads = library.reads
    ranks = range(min(len(reads), settings.annotated_sequences_max))
    sequences = [reads.sequence(i) for i in ranks]
    found = annotate_sequences([s.decode() for s in sequences], load_germline())
    counts: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], tuple[Rearrangement, bytes]] = {}
    for rank, sequence, rearrangement in zip(ranks, sequences, found, strict=True):
        if rearrangement is None:
            continue
        key = (rearrangement.locus, rearrangement.junction)
        counts[key] += int(reads.counts[rank])
        first.setdefault(key, (rearrangement, sequence))
    groups: dict[str, list[_Group]] = {}
    for key in sorted(counts, key=lambda k: (-counts[k], k)):
        rearrangement, sequence = first[key]
        coding = reverse_complement(sequence) if rearrangement.rev_comp else sequence
        group = _Group(rearrangement=rearrangement, coding=coding, reads=counts[key])
        groups.setdefault(key[0], []).append(group)
    total = int(reads.counts.sum())
    return groups, int(reads.counts[: len(ranks)].sum()) / total if total else 1.0


def _markers_of_locus(
    locus: str, groups: Sequence[_Group], annotated_share: float, library: Library, settings: NgsSettings
) -> Iterator[Marker]:
    # Sequences too rare to be annotated are taken to be split over the loci like the others.
    locus_reads = round(sum(g.reads for g in groups) / annotated_share)
    candidates = _without_satellites([g for g in groups if g.rearrangement.junction], settings)
    for number, group in enumerate(candidates[: settings.candidates_listed], start=1):
        window = _window(group, settings)
        next_decade = sum(10 * other.reads >= group.reads for other in candidates[number:])
        yield _judge(f"{locus}-{number}", group, window, locus_reads, next_decade, library, settings)


def _without_satellites(groups: Sequence[_Group], settings: NgsSettings) -> list[_Group]:
    """The leading groups but for those that errors in a far more abundant one explain."""
    kept: list[_Group] = []
    for group in groups[:_GROUPS_LOOKED_AT]:
        junction = group.rearrangement.junction
        parents = (g for g in kept if g.reads >= settings.satellite_ratio * group.reads)
        if not any(_one_mismatch(junction, parent.rearrangement.junction) for parent in parents):
            kept.append(group)
    return kept


def _one_mismatch(one: str, other: str) -> bool:
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) == 1


def _window(group: _Group, settings: NgsSettings) -> bytes:
    """The junction with its flanks, as far as the read goes; at least the shortest window allowed."""
    start, end = group.rearrangement.junction_start, group.rearrangement.junction_end
    flank = max(settings.window_flank_nt, -(-(settings.window_min_nt - (end - start)) // 2))
    return group.coding[max(0, start - flank) : end + flank]


def _judge(
    target_id: str,
    group: _Group,
    window: bytes,
    locus_reads: int,
    next_decade: int,
    library: Library,
    settings: NgsSettings,
) -> Marker:
    trackable = not window.translate(None, b"ACGT") and len(window) >= settings.window_min_nt
    reads = _exact_reads(library, window) if trackable else group.reads
    calibration = calibrate(
        library.spike_in_reads, library.spike_ins, window_nt=len(window), settings=settings
    )
    templates = None if calibration is None else reads / calibration.reads_per_template
    cells = nucleated_cells(library.sample)
    fraction = None if templates is None or cells is None else templates / cells.count
    share = reads / locus_reads if locus_reads else 0.0
    failed, passed = _rules(share, templates, fraction, next_decade, settings)
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


def _rules(
    share: float,
    templates: float | None,
    fraction: float | None,
    next_decade: int,
    settings: NgsSettings,
) -> tuple[list[str], list[str]]:
    """Each marker rule in words, by whether the candidate failed or passed it."""
    failed: list[str] = []
    passed: list[str] = []

    def test(met: bool, what: str, rule: str) -> None:
        (passed if met else failed).append(f"{what} ({rule})")

    test(
        share >= settings.marker_min_share,
        f"{100 * share:.2g} % of its locus' reads",
        f"rule: at least {100 * settings.marker_min_share:g} %, unverified",
    )
    if fraction is not None:
        test(
            fraction >= settings.marker_min_cell_fraction,
            f"{100 * fraction:.2g} % of nucleated cells",
            f"rule: at least {100 * settings.marker_min_cell_fraction:g} %",
        )
    if templates is not None:
        test(
            templates >= settings.marker_min_templates,
            f"{templates:,.0f} templates",
            f"rule: at least {settings.marker_min_templates:g}",
        )
    test(
        next_decade <= settings.marker_max_next_decade,
        f"{next_decade} other sequences in the next decade of frequency",
        f"rule: at most {settings.marker_max_next_decade}",
    )
    if templates is None or fraction is None:
        unknown = "cells" if templates is not None else "templates and cells"
        passed.append(f"{unknown} unknown, so the rules on them are not tested")
    return failed, passed


def _exact_reads(library: Library, window: bytes) -> int:
    indices, _ = window_mismatches(library.reads, window)
    return int(library.reads.counts[indices].sum())
