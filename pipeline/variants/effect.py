"""One variant: its names on genome, transcript and protein, and its consequence."""

import re
from dataclasses import dataclass

from pipeline.errors import InputRefused, printable
from pipeline.variants.consequence import Touched, exon_terms, ordered, touched
from pipeline.variants.coordinates import Transcript
from pipeline.variants.edits import Edit, Moved, moved, reverse_complement, trimmed
from pipeline.variants.gene_models import GeneModels
from pipeline.variants.hgvs import genome_name, transcript_name
from pipeline.variants.protein import CodingSequence, ProteinChange, protein_change
from pipeline.variants.reference import Reference

__all__ = ["NOTES", "Annotator", "Effect"]

_IS_BASES = re.compile("[ACGTN]+").fullmatch

NOTES = {
    "reference_unknown": "the reference has N where the variant stands: REF could not be verified",
    "position_unproven": "N in the reference stopped the 3' rule: the last place cannot be told",
    "beyond_transcript": "the variant reaches beyond the transcript, so it has no c. or n. name",
    "protein_unknown": "the reference's protein cannot be told (incomplete or unknown coding sequence)",
    "isoform_by_length": "no configuration and no MANE tag chose the transcript: longest coding sequence",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A variant on one transcript; names are None where there is nothing to name.

    ``hgvs_p`` holds ``p.?`` where there is an effect that cannot be told. ``terms`` are Sequence
    Ontology terms, most severe first; ``notes`` keys of `NOTES`.
    """

    gene: str
    hgvs_g: str
    hgvs_c: str | None
    hgvs_p: str | None
    terms: tuple[str, ...]
    notes: tuple[str, ...]


class Annotator:
    """Names variants on a reference and its gene models; what it has read of a transcript it keeps."""

    def __init__(self, reference: Reference, models: GeneModels) -> None:
        self.reference = reference
        self.models = models
        self._coding: dict[Transcript, CodingSequence | None] = {}

    def effects(self, contig: str, position: int, ref: str, alt: str) -> list[Effect]:
        """The variant's effect on each gene's transcript, or one intergenic effect.

        Parameters
        ----------
        contig, position, ref, alt
            As in VCF: ``position`` is 1-based; bases ``ACGTN``.

        Raises
        ------
        InputRefused
            If an allele is not written in bases, changes nothing, lies outside the contig, or REF
            is not what the reference has.
        """
        ref, alt = ref.upper(), alt.upper()
        unknown = self._verify(contig, position, ref, alt)
        edit = trimmed(position - 1, ref, alt)
        last = {1: moved(edit, self.reference, contig, 1)}
        name_g = genome_name(last[1].edit, self.reference, contig)
        notes = ["reference_unknown"] if unknown else []
        found = []
        for transcript in self.models.overlapping(
            contig, edit.start - (not edit.ref), edit.end + (not edit.ref)
        ):
            if transcript.strand not in last:
                last[-1] = moved(edit, self.reference, contig, -1)
            found.append(self._effect(transcript, name_g, last[transcript.strand], notes))
        if found:
            return found
        if last[1].stopped_by_unknown:
            notes.append("position_unproven")
        return [
            Effect(
                gene="",
                hgvs_g=name_g,
                hgvs_c=None,
                hgvs_p=None,
                terms=("intergenic_variant",),
                notes=tuple(notes),
            )
        ]

    def coding_sequence(self, transcript: Transcript) -> CodingSequence | None:
        """The transcript's coding sequence and protein; None where they cannot be told."""
        if transcript not in self._coding:
            self._coding[transcript] = self._read_coding(transcript)
        return self._coding[transcript]

    def _effect(self, transcript: Transcript, name_g: str, last: Moved, notes: list[str]) -> Effect:
        name_c = transcript_name(last.edit, self.reference, transcript)
        at, where = self._placed(transcript, last.edit)
        terms, protein = self._consequence(transcript, at, where)
        notes = list(notes)
        if last.stopped_by_unknown:
            notes.append("position_unproven")
        if name_c is None:
            notes.append("beyond_transcript")
        if "coding_sequence_variant" in terms and self.coding_sequence(transcript) is None:
            notes.append("protein_unknown")
        if transcript.chosen_by == "longest coding sequence":
            notes.append("isoform_by_length")
        return Effect(
            gene=transcript.gene,
            hgvs_g=name_g,
            hgvs_c=name_c,
            hgvs_p=None if protein is None else f"{transcript.protein}:p.{protein}",
            terms=ordered(terms),
            notes=tuple(notes),
        )

    def _placed(self, transcript: Transcript, last: Edit) -> tuple[Edit, Touched]:
        """The place by which the effect is judged: inside an exon, or beside a splice site, if one is.

        An insertion or deletion that can stand in the exon, or leave the two bases of the splice
        site as they are, does so: both places are the same sequence.
        """
        where = touched(transcript, last)
        if where.exonic is not None or not (where.site or where.region):
            return last, where
        first = moved(last, self.reference, transcript.contig, -transcript.strand).edit
        if first != last:
            other = touched(transcript, first)
            if other.exonic is not None or (where.site and not other.site):
                return first, other
        return last, where

    def _consequence(self, transcript: Transcript, edit: Edit, where: Touched) -> tuple[set[str], str | None]:
        terms = set(where.site)
        if where.region:
            terms.add("splice_region_variant")
        if where.intron:
            terms.add("intron_variant")
        if edit.start <= transcript.start and edit.end >= transcript.end:
            return {"transcript_ablation"}, None
        if where.exonic is None:
            told = where.parts | terms
            lost = "coding_sequence_variant" in where.parts or (where.site and where.coding_intron)
            return set(told) or {"intergenic_variant"}, "?" if lost else None
        parts = exon_terms(transcript, *where.exonic)
        if "coding_sequence_variant" not in parts:
            return terms | parts, None
        change = self._protein(transcript, edit, where.exonic)
        return terms | (parts - {"coding_sequence_variant"}) | set(change.terms), change.name

    def _protein(self, transcript: Transcript, edit: Edit, exonic: tuple[int, int]) -> ProteinChange:
        coding = self.coding_sequence(transcript)
        if coding is None:
            return ProteinChange("?", ("coding_sequence_variant",))
        assert transcript.coding is not None
        begin = transcript.coding[0]
        alt = edit.alt if transcript.strand == 1 else reverse_complement(edit.alt)
        return protein_change(coding, exonic[0] - begin, exonic[1] - begin, alt)

    def _read_coding(self, transcript: Transcript) -> CodingSequence | None:
        if transcript.coding is None or not transcript.frame_known:
            return None
        parts = [self.reference.bases(transcript.contig, start, end) for start, end in transcript.exons]
        bases = "".join(parts)
        if transcript.strand == -1:
            bases = reverse_complement(bases)
        begin, end = transcript.coding
        return CodingSequence.of(bases[begin:], end - begin)

    def _verify(self, contig: str, position: int, ref: str, alt: str) -> bool:
        """Refuse what contradicts the reference; whether the reference is unknown there."""
        where = f"{printable(contig)}:{position}"
        if not _IS_BASES(ref) or not _IS_BASES(alt):
            raise InputRefused(f"{where}: an allele is not written in bases", expected="A, C, G, T or N")
        if ref == alt:
            raise InputRefused(f"{where}: REF and ALT are the same")
        self.reference.require(contig)
        if position < 1 or position - 1 + len(ref) > self.reference.lengths_nt[contig]:
            raise InputRefused(
                f"{where}: lies outside the contig",
                path=self.reference.path,
                expected=f"1 to {self.reference.lengths_nt[contig]:,}",
            )
        known = self.reference.bases(contig, position - 1, position - 1 + len(ref))
        if known == ref and "N" not in known:
            return False
        if any(a not in (b, "N") for a, b in zip(known, ref, strict=True)):
            raise InputRefused(
                f"{where}: REF is not what the reference has there",
                path=self.reference.path,
                expected=known if len(known) <= 20 else f"{known[:20]}...",
                remedy="give the reference that the variants were called on",
            )
        return True
