"""Where an edit touches a transcript, in terms of the Sequence Ontology.

Splice sites are the two bases of the intron at each end (``splice_donor_variant``,
``splice_acceptor_variant``), the splice region bases 3 to 8 of the intron and the three bases of the
exon beside it (SO:0001630). An insertion touches a stretch when it parts two of its bases; at the
border itself it touches the region, not the site.
"""

from bisect import bisect_right
from dataclasses import dataclass

from pipeline.variants.coordinates import Transcript
from pipeline.variants.edits import Edit

__all__ = ["TERMS", "Touched", "exon_terms", "ordered", "touched"]

# most severe first
TERMS = (
    "transcript_ablation", "splice_acceptor_variant", "splice_donor_variant", "stop_gained",
    "frameshift_variant", "stop_lost", "start_lost", "inframe_insertion", "inframe_deletion",
    "missense_variant", "protein_altering_variant", "splice_region_variant", "stop_retained_variant",
    "synonymous_variant", "coding_sequence_variant", "5_prime_UTR_variant", "3_prime_UTR_variant",
    "non_coding_transcript_exon_variant", "intron_variant", "intergenic_variant",
)  # fmt: skip
_RANK = {term: rank for rank, term in enumerate(TERMS)}
_SITE_NT, _REGION_NT, _EXON_NT = 2, 8, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """Parts of a transcript that an edit touches.

    ``exonic`` is the half-open interval of transcript positions where the whole edit lies inside
    one exon (equal ends: an insertion), ``parts`` the terms of the exon bases touched otherwise
    (coding sequence, UTR), ``coding_intron`` whether a touched intron parts the coding sequence.
    """

    site: frozenset[str]
    region: bool
    intron: bool
    coding_intron: bool
    exonic: tuple[int, int] | None
    parts: frozenset[str]


def ordered(terms: set[str]) -> tuple[str, ...]:
    """Terms once each, most severe first."""
    return tuple(sorted(terms, key=_RANK.__getitem__))


def touched(transcript: Transcript, edit: Edit) -> Touched:
    """What an edit at this very place touches."""
    start, end = edit.start, edit.end
    exons = transcript.exons
    exonic = _inside_one_exon(transcript, edit)
    if exonic is not None and _is_far_from_introns(transcript, start, end):
        return Touched(
            site=frozenset(),
            region=False,
            intron=False,
            coding_intron=False,
            exonic=exonic,
            parts=frozenset(),
        )
    site: set[str] = set()
    region = intron = coding_intron = False
    low, high = _introns_near(transcript, start, end)
    for i in range(low, high):
        first, after = exons[i][1], exons[i + 1][0]
        at_left = _touches(edit, first, first + _SITE_NT)
        at_right = _touches(edit, after - _SITE_NT, after)
        donor_left = transcript.strand == 1
        if at_left:
            site.add("splice_donor_variant" if donor_left else "splice_acceptor_variant")
        if at_right:
            site.add("splice_acceptor_variant" if donor_left else "splice_donor_variant")
        region |= _near_border(edit, first, after)
        if _touches(edit, first, after):
            intron = True
            coding_intron |= _parts_coding(transcript, i)
    return Touched(
        site=frozenset(site),
        region=region,
        intron=intron,
        coding_intron=coding_intron,
        exonic=exonic,
        parts=frozenset() if exonic is not None else _exon_parts(transcript, edit),
    )


def _inside_one_exon(transcript: Transcript, edit: Edit) -> tuple[int, int] | None:
    start, end = edit.start, edit.end
    last = end - 1 if edit.ref else start
    first = start if edit.ref else start - 1
    exon = transcript.exon_at(first)
    if exon is None or last >= transcript.exons[exon][1]:
        return None
    before = transcript.place(first if transcript.strand == 1 else last)
    assert before is not None
    if edit.ref:
        return before.position, before.position + end - start
    return before.position + 1, before.position + 1


def _is_far_from_introns(transcript: Transcript, start: int, end: int) -> bool:
    exon = transcript.exon_at(start)
    if exon is None:
        return False
    left, right = transcript.exons[exon]
    return start > left + _EXON_NT and end < right - _EXON_NT


def _introns_near(transcript: Transcript, start: int, end: int) -> tuple[int, int]:
    """Range of the introns ``i`` (between exons i and i + 1) within reach of ``[start, end]``."""
    exons = transcript.exons
    reach = _REGION_NT + 1
    low = max(bisect_right(exons, (start - reach, 0)) - 2, 0)
    high = min(bisect_right(exons, (end + reach, 0)) + 1, len(exons) - 1)
    return low, high


def _touches(edit: Edit, left: int, right: int) -> bool:
    if edit.ref:
        return edit.start < right and edit.end > left
    return left < edit.start < right


def _near_border(edit: Edit, first: int, after: int) -> bool:
    """Whether the splice region of an intron ``[first, after)`` is touched, at either end."""
    stretches = (
        (first - _EXON_NT, first),
        (first + _SITE_NT, min(first + _REGION_NT, after)),
        (max(after - _REGION_NT, first), after - _SITE_NT),
        (after, after + _EXON_NT),
    )
    if edit.ref:
        return any(edit.start < right and edit.end > left for left, right in stretches)
    return any(left <= edit.start <= right for left, right in stretches)


def _parts_coding(transcript: Transcript, intron: int) -> bool:
    if transcript.coding is None:
        return False
    beside = transcript.exons[intron + 1][0] if transcript.strand == 1 else transcript.exons[intron][1] - 1
    place = transcript.place(beside)
    assert place is not None
    return transcript.coding[0] < place.position < transcript.coding[1]


def _exon_parts(transcript: Transcript, edit: Edit) -> frozenset[str]:
    """Terms of the exon bases removed by an edit that is not inside one exon."""
    found: set[str] = set()
    for left, right in transcript.exons:
        start, end = max(left, edit.start), min(right, edit.end)
        if start < end:
            ends = (transcript.place(start), transcript.place(end - 1))
            positions = sorted(place.position for place in ends if place is not None)
            found |= exon_terms(transcript, positions[0], positions[-1] + 1)
    return frozenset(found)


def exon_terms(transcript: Transcript, start: int, end: int) -> set[str]:
    """Parts of the transcript that its positions ``[start, end)`` lie in (equal ends: an insertion)."""
    if transcript.coding is None:
        return {"non_coding_transcript_exon_variant"}
    begin, stop = transcript.coding
    if start == end:  # before the first and after the last coding base it is outside
        if start <= begin:
            return {"5_prime_UTR_variant"}
        return {"3_prime_UTR_variant"} if start >= stop else {"coding_sequence_variant"}
    found = set()
    if start < begin:
        found.add("5_prime_UTR_variant")
    if end > stop:
        found.add("3_prime_UTR_variant")
    if start < stop and end > begin:
        found.add("coding_sequence_variant")
    return found
