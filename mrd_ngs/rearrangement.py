"""One immunoglobulin rearrangement as annotated in a read."""

from dataclasses import dataclass

__all__ = ["Rearrangement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rearrangement:
    """Genes and junction of one read.

    ``v_call``, ``d_call`` and ``j_call`` list equally good alleles, separated by commas.
    ``junction`` runs from the codon of Cys104 to that of Trp/Phe118, both included, on
    the coding strand; ``junction_start`` and ``junction_end`` are its 0-based half-open
    place on that strand (on the reverse complement of the read where ``rev_comp``).
    """

    locus: str
    rev_comp: bool
    v_call: str
    d_call: str
    j_call: str
    junction: str
    junction_aa: str
    productive: bool | None
    junction_start: int
    junction_end: int
