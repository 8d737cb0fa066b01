"""HGVS names on genome and transcript.

The 3' rule is followed on the genome in the direction of the transcript, so that a change never
jumps over an intron to an identical base of the next exon (HGVS nomenclature, exception to the
3' rule at exon borders).
"""

from pipeline.variants.coordinates import Transcript
from pipeline.variants.edits import Edit, copied, reverse_complement
from pipeline.variants.reference import Reference

__all__ = ["genome_name", "transcript_name"]


def genome_name(edit: Edit, reference: Reference, contig: str) -> str:
    """The g. name of an edit that stands at its last place on the plus strand."""
    copy = copied(edit, reference, contig, 1)
    if copy is not None:
        return f"{contig}:g.{_range(str(copy[0] + 1), str(copy[1]))}dup"
    if not edit.ref:
        return f"{contig}:g.{edit.start}_{edit.start + 1}ins{edit.alt}"
    return f"{contig}:g.{_change(str(edit.start + 1), str(edit.end), edit.ref, edit.alt)}"


def transcript_name(
    edit: Edit, reference: Reference, transcript: Transcript, *, numbering: str = "c"
) -> str | None:
    """The c. name (n. where nothing is coded, or asked for) of an edit at its last place.

    Parameters
    ----------
    edit
        Moved in the direction of the transcript.
    reference, transcript
        Where it stands.
    numbering
        ``c`` or ``n``.

    Returns
    -------
    str or None
        None if a base that the name needs lies outside the transcript.
    """
    kind = "n" if transcript.coding is None else numbering
    contig, forward = transcript.contig, transcript.strand == 1
    ref, alt = edit.ref, edit.alt
    if not forward:
        ref, alt = reverse_complement(ref), reverse_complement(alt)
    copy = copied(edit, reference, contig, transcript.strand)
    if copy is not None:
        first, last = copy[0], copy[1] - 1
    elif ref:
        first, last = edit.start, edit.end - 1
    else:
        first, last = edit.start - 1, edit.start
    if not forward:
        first, last = last, first
    begin, end = transcript.place(first), transcript.place(last)
    if begin is None or end is None:
        return None
    begin_text = transcript.written(begin, numbering=kind)
    end_text = transcript.written(end, numbering=kind)
    if copy is not None:
        what = f"{_range(begin_text, end_text)}dup"
    elif not ref:
        what = f"{begin_text}_{end_text}ins{alt}"
    else:
        what = _change(begin_text, end_text, ref, alt)
    return f"{transcript.name}:{kind}.{what}"


def _change(first: str, last: str, ref: str, alt: str) -> str:
    if not alt:
        return f"{_range(first, last)}del"
    if len(ref) == len(alt) == 1:
        return f"{first}{ref}>{alt}"
    return f"{_range(first, last)}delins{alt}"


def _range(first: str, last: str) -> str:
    return first if first == last else f"{first}_{last}"
