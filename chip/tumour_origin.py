"""Whether a variant comes from myeloma cells in the graft, and not from the blood's own clone.

KRAS, NRAS, TP53 and others drive both. What the paired tumour has too is "tumour-derived?": its
fraction is held against what flow's plasma cells would bring along.
"""

from chip.evidence import Candidate
from chip.flags import Flag, Weight

__all__ = ["judge_origin"]

_ALPHA = 0.001


def judge_origin(candidate: Candidate, plasma_cell_fraction: float | None) -> list[Flag]:
    """A flag on what the tumour has too; none where it has not, or was not looked at.

    Parameters
    ----------
    candidate
        With ``in_tumour``, and ``tumour_vaf`` where known.
    plasma_cell_fraction
        Plasma cells among the graft's nucleated cells, by flow; None where not measured. All of them
        are taken as myeloma with the tumour's own fraction, which is the most they can bring.
    """
    if not candidate.in_tumour:
        return []
    text = "also in the tumour: tumour-derived?"
    fraction, of_tumour = candidate.allele_fraction, candidate.tumour_vaf
    if fraction is not None and of_tumour:
        text += f" VAF {fraction / of_tumour:.2g} times the tumour's"
        if plasma_cell_fraction is not None:
            text += f"; {_held_against(candidate, of_tumour * plasma_cell_fraction, plasma_cell_fraction)}"
    return [Flag(code="in_tumour", weight=Weight.DOUBT, text=text)]


def _held_against(candidate: Candidate, expected: float, plasma_cell_fraction: float) -> str:
    from pipeline.detection.intervals import clopper_pearson

    brought = f"plasma cells ({100 * plasma_cell_fraction:.2g} %) bring at most {100 * expected:.2g} %"
    counts = candidate.counts
    if counts is None or counts.depth == 0:
        return brought
    low = clopper_pearson(counts.alt, counts.depth, confidence=1 - 2 * _ALPHA).low
    return f"{brought}, " + ("which is less than seen" if low > expected else "which may be all of it")
