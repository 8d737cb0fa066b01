"""One immunoglobulin rearrangement as annotated in a read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Rearrangement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rearrangement:
    """Genes, junction and alignments of one read; the columns of the AIRR table as attributes.

    ``v_call``, ``d_call`` and ``j_call`` list equally good alleles, separated by commas; empty
    where there is none. ``junction`` runs from the codon of Cys104 to that of Trp/Phe118,
    both included, on the coding strand; ``junction_start`` and ``junction_end`` are its
    place there (on the reverse complement of the read where ``rev_comp``); without a whole
    junction it is empty and they are -1. All places are 0-based half-open, -1 where there
    is nothing. Truth values and identities are None where the read cannot tell.

    `mrd_ngs.airr_table` says what productive, scores and identities mean.
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
    sequence: str
    vj_in_frame: bool | None
    stop_codon: bool | None
    v_frameshift: bool | None
    complete_vdj: bool | None
    sequence_alignment: str
    germline_alignment: str
    np1: str
    np2: str
    v_score: int | None
    v_identity: float | None
    v_cigar: str
    d_score: int | None
    d_identity: float | None
    d_cigar: str
    j_score: int | None
    j_identity: float | None
    j_cigar: str
    v_start: int
    v_end: int
    v_germline_start: int
    v_germline_end: int
    d_start: int
    d_end: int
    d_germline_start: int
    d_germline_end: int
    j_start: int
    j_end: int
    j_germline_start: int
    j_germline_end: int

    @property
    def kind(self) -> str:
        """VDJ, VJ, DJ, V-Kde, intron-Kde, or V where the read ends before J.

        A heavy chain without a recognisable D is still VDJ.
        """
        if self.j_call == "IGKKde":
            return "intron-Kde" if self.v_call == "IGKintron" else "V-Kde"
        if not self.v_call:
            return "DJ"
        if not self.j_call:
            return "V"
        return "VDJ" if self.locus == "IGH" else "VJ"

    @property
    def mutation_percent(self) -> float | None:
        """Somatic hypermutation of V: 100 (1 - v_identity)."""
        return None if self.v_identity is None else 100 * (1 - self.v_identity)


_TRUTH = {"T": True, "F": False, "": None}


def from_airr_line(columns: Sequence[str], line: str, junction_start: int) -> Rearrangement:
    """The rearrangement of one line of `mrd_ngs.airr_table`."""
    cell = dict(zip(columns, line.split("\t"), strict=True))
    places: dict[str, Any] = {
        f"{segment}_{ours}": int(cell[f"{segment}_{theirs}"] or offset) - offset
        if cell[f"{segment}_{theirs}"]
        else -1
        for segment in "vdj"
        for ours, theirs, offset in (
            ("start", "sequence_start", 1),
            ("end", "sequence_end", 0),
            ("germline_start", "germline_start", 1),
            ("germline_end", "germline_end", 0),
        )
    }
    numbers: dict[str, Any] = {
        f"{segment}_{name}": kind(text) if (text := cell[f"{segment}_{name}"]) else None
        for segment in "vdj"
        for name, kind in (("score", int), ("identity", float))
    }
    return Rearrangement(
        locus=cell["locus"],
        rev_comp=cell["rev_comp"] == "T",
        v_call=cell["v_call"],
        d_call=cell["d_call"],
        j_call=cell["j_call"],
        junction=cell["junction"],
        junction_aa=cell["junction_aa"],
        productive=_TRUTH[cell["productive"]],
        junction_start=junction_start,
        junction_end=junction_start + len(cell["junction"]) if cell["junction"] else -1,
        sequence=cell["sequence"],
        vj_in_frame=_TRUTH[cell["vj_in_frame"]],
        stop_codon=_TRUTH[cell["stop_codon"]],
        v_frameshift=_TRUTH[cell["v_frameshift"]],
        complete_vdj=_TRUTH[cell["complete_vdj"]],
        sequence_alignment=cell["sequence_alignment"],
        germline_alignment=cell["germline_alignment"],
        np1=cell["np1"],
        np2=cell["np2"],
        v_cigar=cell["v_cigar"],
        d_cigar=cell["d_cigar"],
        j_cigar=cell["j_cigar"],
        **numbers,
        **places,
    )
