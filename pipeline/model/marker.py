"""The rearrangement by which a clone is followed, and the candidates not taken."""

from dataclasses import dataclass

__all__ = ["Marker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """One candidate clonal rearrangement of a patient's baseline sample.

    ``sequence`` is the nucleotide window that is looked for at follow-up, on the coding
    strand; ``junction`` the part of it from the codon of Cys104 to that of Trp/Phe118.
    ``reads`` supports it out of ``locus_reads``; ``templates`` is the same in genome
    copies and ``fraction_of_cells`` of nucleated cells, where the baseline was calibrated.
    ``taken`` says whether it is tracked and ``reason`` why or why not.
    """

    patient_id: str
    target_id: str
    locus: str
    v_call: str
    d_call: str
    j_call: str
    junction: str
    sequence: str
    reads: int
    locus_reads: int
    templates: float | None
    fraction_of_cells: float | None
    taken: bool
    reason: str

    @property
    def share_of_reads(self) -> float:
        """Reads of this candidate among the reads of its locus, in [0, 1]."""
        return self.reads / self.locus_reads if self.locus_reads else 0.0
