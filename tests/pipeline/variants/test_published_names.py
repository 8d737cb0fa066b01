"""Names that published tables give, and cases of the nomenclature on a small made-up gene."""

import csv
import re

import pytest

from pipeline.errors import InputRefused
from pipeline.variants.effect import Annotator
from pipeline.variants.gene_models import read_gene_models
from pipeline.variants.reference import Reference
from references import reference
from variant_names import contigs, other_strand

RESIDUES = dict(
    zip(
        "ARNDCQEGHILKMFPSTWYV*",
        re.findall("...", "AlaArgAsnAspCysGlnGluGlyHisIleLeuLysMetPheProSerThrTrpTyrValTer"),
        strict=True,
    )
)


@pytest.fixture(scope="module")
def panel():
    fasta, gff3 = reference("chip_reference", "panel51.fa.gz"), reference("chip_reference", "panel51.gff3")
    bases = Reference(fasta)
    return Annotator(bases, read_gene_models(gff3, reference=bases))


def as_vcf(annotator, gene, change):
    """POS, REF and ALT of a published c. change (its trailing bases are not looked at)."""
    transcript = next(t for t in annotator.models.transcripts if t.gene == gene)
    first, last, _, alt, kind = re.fullmatch(
        r"c\.([\d+-]+)(?:_([\d+-]+))?(?:([ACGT])>([ACGT])|(del|dup)[ACGT]*)", change
    ).groups()
    ends = sorted(transcript.genome(transcript.read(text)) for text in (first, last or first))
    inside = annotator.reference.bases(gene, ends[0], ends[1] + 1)
    if kind is None:
        return ends[0] + 1, inside, alt if transcript.strand == 1 else other_strand(alt)
    anchor = annotator.reference.bases(gene, ends[0] - 1, ends[0])
    long, short = anchor + inside, anchor
    return (ends[0], long, short) if kind == "del" else (ends[0], short, long)


def three_letters(change):
    """``W288Cfs*12`` as ``Trp288CysfsTer12``; a residue on both sides alike as ``=``."""
    text = re.sub(r"[A-Z*](?!_)", lambda m: RESIDUES[m[0]], change)
    match = re.fullmatch(r"(\D+)(\d+)(\D+)", text)
    return f"{match[1]}{match[2]}=" if match and match[1] == match[3] else text


def test_published_driver_names_come_out_as_published(panel):
    checked = 0
    with reference("chip_rules", "variant_cases.tsv").open() as file:
        rows = [r for r in csv.DictReader(file, delimiter="\t") if r["cdna_change"]]
    for row in rows:
        if row["gene"] not in {t.gene for t in panel.models.transcripts}:
            continue
        effect = panel.effects(row["gene"], *as_vcf(panel, row["gene"], row["cdna_change"]))[0]
        written = re.sub(r"(del|dup)[ACGT]+$", r"\1", row["cdna_change"])
        assert effect.hgvs_c == f"T_{row['gene']}:{written}"
        change = effect.hgvs_p.split(":p.")[1]
        if row["protein_change"].endswith("_splice"):
            assert change == "?"
            assert {"splice_donor_variant", "splice_acceptor_variant"} & set(effect.terms)
        elif row["gene"] in ("NPM1", "CALR"):  # the panel lacks their 3' UTR
            assert change == re.sub(r"\d+$", "?", three_letters(row["protein_change"]))
        else:
            assert change == three_letters(row["protein_change"])
        checked += 1
    assert checked == 86


def test_frameshift_in_the_homopolymer_of_asxl1_is_a_duplication(panel):
    table = {r["contig"]: r for r in _contig_rows()}
    position = 32_434_638 - int(table["ASXL1"]["grch38_start"]) + 1  # chr20:32434638 A>AG
    effect = panel.effects("ASXL1", position, "A", "AG")[0]
    assert (effect.hgvs_c, effect.hgvs_p) == ("T_ASXL1:c.1934dup", "P_ASXL1:p.Gly646TrpfsTer12")


def _contig_rows():
    with reference("chip_reference", "panel51_contigs.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_places_on_grch38_agree_with_the_independent_tp53_sequence(panel):
    """Each coding base of TP53 is the same base in the chr17 slice at the place that its contig says."""
    (name, chr17), *_ = contigs(reference("cfdna", "TP53_GRCh38_chr17.fa")).items()
    slice_start = int(name.split(":")[1].split("-")[0])
    offset = int(next(r for r in _contig_rows() if r["contig"] == "TP53")["grch38_start"]) - 1
    transcript = next(t for t in panel.models.transcripts if t.gene == "TP53")
    for number in range(1, 1183):
        genome = transcript.genome(transcript.read(str(number)))
        assert panel.reference.bases("TP53", genome, genome + 1) == chr17[genome + 1 + offset - slice_start]
    # published pairs (GRCh38): R175H, R248Q, R273H
    for change, place in (("524", 7_675_088), ("743", 7_674_220), ("818", 7_673_802)):
        assert transcript.genome(transcript.read(change)) + 1 + offset == place


def test_ref_that_is_not_the_references_is_refused_with_its_position(panel):
    with pytest.raises(InputRefused, match=r"TP53:7564: REF is not what the reference has there"):
        panel.effects("TP53", 7564, "G", "A")
    with pytest.raises(InputRefused, match="outside the contig"):
        panel.effects("TP53", 10_000_000, "G", "A")
    with pytest.raises(InputRefused, match="not written in bases"):
        panel.effects("TP53", 7564, "T", "<DEL>")
    with pytest.raises(InputRefused, match="has contig TP53 but not chrTP53"):
        panel.effects("chrTP53", 7564, "T", "C")


def test_unknown_introns_are_named_as_far_as_they_can_be_and_said(panel):
    donor = panel.effects("ABL1", 380, "G", "GG")[0]  # c.79+1 is the last known G but one
    assert donor.hgvs_c == "T_ABL1:c.79+1dup"
    inside = panel.effects("ABL1", 400, "A", "G")[0]
    assert inside.hgvs_c == "T_ABL1:c.79+21A>G"
    assert inside.notes == ("reference_unknown",)
    gone = panel.effects("ABL1", 400, "AT", "A")[0]
    assert "position_unproven" in gone.notes
