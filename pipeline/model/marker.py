"""The rearrangement by which a clone is followed, and the candidates not taken."""

from dataclasses import dataclass

__all__ = ["Marker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """One candidate clonal rearrangement of a patient's baseline sample.

    ``sequence`` is the nucleotide window that is looked for at follow-up, on the coding
    strand; ``junction`` the part of it from the codon of Cys104 to that of Trp/Phe118, empty
    for rearrangements without one (DJ, kappa deletions), whose window lies around the join.
    ``reads`` supports it out of ``locus_reads``; ``templates`` is the same in genome
    copies and ``fraction_of_cells`` of nucleated cells, where the baseline was calibrated.
    ``taken`` says whether it is tracked and ``reason`` why or why not.

    ``kind`` is VDJ, VJ, DJ, V-Kde or intron-Kde. ``background_fraction`` is the share of
    nucleated cells of other clones expected to carry the same window, None where it was not
    estimated. ``rule_set`` names the rules it was held against and their version,
    ``germline`` the release its genes are named after. These are empty in records
    written before they existed.
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
    kind: str = ""
    background_fraction: float | None = None
    rule_set: str = ""
    germline: str = ""

    @property
    def share_of_reads(self) -> float:
        """Reads of this candidate among the reads of its locus, in [0, 1]."""
        return self.reads / self.locus_reads if self.locus_reads else 0.0

    @property
    def genes(self) -> str:
        """The first allele of each segment, 5' to 3', such as ``IGHD3-10*01 IGHJ4*02``."""
        calls = (self.v_call, self.d_call, self.j_call)
        return " ".join(call.split(",")[0] for call in calls if call)
