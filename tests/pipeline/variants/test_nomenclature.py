"""Cases of the HGVS nomenclature on a made-up gene, each on both strands with the same answer."""

import pytest

from pipeline.errors import InputRefused
from pipeline.variants.coordinates import Place
from pipeline.variants.effect import Annotator
from pipeline.variants.gene_models import read_gene_models
from pipeline.variants.protein import CodingSequence, protein_change
from pipeline.variants.reference import Reference
from small_gene import GENE, at, contig_of, gff3_lines, on_plus, write_fasta, write_gff3


@pytest.fixture(params=["+", "-"])
def gene(request, tmp_path):
    """An annotator and the function that annotates a change given on the gene's own strand."""
    bases = Reference(write_fasta(tmp_path / "g.fa", {"one": contig_of(request.param)}))
    annotator = Annotator(bases, read_gene_models(write_gff3(tmp_path / "g.gff3", gff3_lines(request.param))))

    def effect(start, ref_nt, alt):
        anchored = start - 1, GENE[start - 1 : start + ref_nt], GENE[start - 1] + alt
        return annotator.effects("one", *on_plus(request.param, *anchored))[0]

    yield annotator, effect
    bases.__exit__(None, None, None)


CASES = {
    # first base (c. position), bases removed, bases put in: c. name, p. name, term among the terms
    "missense": (4, 1, "A", "c.4G>A", "p.Ala2Thr", "missense_variant"),
    "synonymous": (6, 1, "C", "c.6T>C", "p.Ala2=", "synonymous_variant"),
    "nonsense": (30, 1, "A", "c.30G>A", "p.Trp10Ter", "stop_gained"),
    "start lost": (2, 1, "C", "c.2T>C", "p.Met1?", "start_lost"),
    "stop lost": (40, 1, "C", "c.40T>C", "p.Ter14GlnextTer2", "stop_lost"),
    "stop retained": (42, 1, "G", "c.42A>G", "p.Ter14=", "stop_retained_variant"),
    "frameshift": (16, 1, "", "c.16del", "p.Arg6ValfsTer?", "frameshift_variant"),
    "3' rule in a run": (7, 1, "", "c.12del", "p.Glu5AsnfsTer?", "frameshift_variant"),
    "duplication in a run": (7, 0, "A", "c.12dup", "p.Glu5ArgfsTer14", "frameshift_variant"),
    "codon of a run": (7, 3, "", "c.10_12del", "p.Lys4del", "inframe_deletion"),
    "codon of a repeat": (16, 3, "", "c.23_25del", "p.Arg8del", "inframe_deletion"),
    "repeat made longer": (16, 0, "CGT", "c.23_25dup", "p.Arg8dup", "inframe_insertion"),
    "two units more": (16, 0, "CGTCGT", "c.20_25dup", "p.Arg7_Arg8dup", "inframe_insertion"),
    "other bases put in": (19, 0, "TTT", "c.18_19insTTT", "p.Arg6_Arg7insPhe", "inframe_insertion"),
    "stop put in": (19, 0, "TAA", "c.18_19insTAA", "p.Arg7Ter", "stop_gained"),
    "stop put in behind": (19, 0, "TTTTAA", "c.18_19insTTTTAA", "p.Arg6_Arg7insPheTer", "stop_gained"),
    "two bases": (17, 2, "AA", "c.17_18delinsAA", "p.Arg6Gln", "missense_variant"),
    "two codons": (18, 2, "AA", "c.18_19delinsAA", "p.Arg7Ser", "missense_variant"),
    "fewer bases": (19, 6, "TTC", "c.19_24delinsTTC", "p.Arg7_Arg8delinsPhe", "protein_altering_variant"),
    "behind the stop": (42, 1, "AG", "c.42_*1insG", None, "3_prime_UTR_variant"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_change_in_the_coding_sequence(gene, case):
    first, removed, put_in, name, protein, term = CASES[case]
    found = gene[1](at(first), removed, put_in)
    assert found.hgvs_c == f"T1.2:{name}"
    assert found.hgvs_p == (protein and f"P1:{protein}")
    assert term in found.terms


INTRON_CASES = {
    # bases after c.13 (the last of exon 1), removed, put in: c. name, terms
    "donor": (1, 1, "A", "c.13+1G>A", "splice_donor_variant&intron_variant"),
    "acceptor": (22, 1, "C", "c.14-2A>C", "splice_acceptor_variant&intron_variant"),
    "region behind the exon": (5, 1, "T", "c.13+5G>T", "splice_region_variant&intron_variant"),
    "region before the exon": (16, 1, "G", "c.14-8C>G", "splice_region_variant&intron_variant"),
    "middle of an odd intron": (12, 1, "A", "c.13+12C>A", "intron_variant"),
    "behind the middle": (13, 1, "A", "c.14-11T>A", "intron_variant"),
    "first base of the exon": (24, 1, "C", "c.14A>C", "missense_variant&splice_region_variant"),
}


@pytest.mark.parametrize("case", INTRON_CASES)
def test_change_in_an_intron_or_beside_it(gene, case):
    behind, removed, put_in, name, terms = INTRON_CASES[case]
    found = gene[1](at(13) + behind, removed, put_in)
    assert (found.hgvs_c, "&".join(found.terms)) == (f"T1.2:{name}", terms)


def test_deletion_that_can_stand_in_the_exon_is_named_last_and_judged_in_the_exon(gene):
    """c.13 and c.13+1 are both G: the name is the last place, but the splice site stays as it was."""
    found = gene[1](at(13), 1, "")
    assert found.hgvs_c == "T1.2:c.13+1del"
    assert found.hgvs_p == "P1:p.Glu5AsnfsTer?"
    assert found.terms == ("frameshift_variant", "splice_region_variant")


def test_deletion_over_the_edge_of_an_exon_has_no_protein_name_that_can_be_told(gene):
    found = gene[1](at(13), 4, "")
    assert found.hgvs_c == "T1.2:c.13_13+3del"
    assert found.hgvs_p == "P1:p.?"
    assert found.terms[:1] == ("splice_donor_variant",)
    assert "coding_sequence_variant" in found.terms


def test_untranslated_regions_are_numbered_from_the_codons(gene):
    assert gene[1](at(1) - 1, 1, "G").hgvs_c == "T1.2:c.-1T>G"
    assert gene[1](at(1) - 1, 1, "G").terms == ("5_prime_UTR_variant",)
    assert gene[1](at(42) + 7, 1, "G").hgvs_c == "T1.2:c.*7C>G"
    assert gene[1](at(42) + 7, 1, "G").terms == ("3_prime_UTR_variant",)


def test_change_beyond_the_transcript_has_only_a_genome_name(gene):
    outside = gene[1](5, 1, "A" if GENE[5] != "A" else "C")
    assert (outside.gene, outside.hgvs_c, outside.terms) == ("", None, ("intergenic_variant",))
    over = gene[1](17, 6, "")
    assert over.hgvs_c is None
    assert over.notes == ("beyond_transcript",)
    whole = gene[1](10, len(GENE) - 20, "")
    assert whole.terms == ("transcript_ablation",)


def test_written_positions_that_the_transcript_lacks_are_refused(gene):
    transcript = gene[0].models.transcripts[0]
    assert transcript.read("14-3") == Place(17, -3)
    for text in ("13+24", "5+1", "14+2"):
        with pytest.raises(InputRefused, match="does not begin at the edge of an exon"):
            transcript.genome(transcript.read(text))
    for text in ("43", "-5", "*13"):
        with pytest.raises(InputRefused, match="outside its part"):
            transcript.read(text)
    for text in ("0", "x", "1+", "--3", "", "1+0"):
        with pytest.raises(InputRefused, match="not a position"):
            transcript.read(text)


def test_transcript_that_codes_for_nothing_gets_n_names(tmp_path):
    with Reference(write_fasta(tmp_path / "g.fa", {"one": GENE})) as bases:
        models = read_gene_models(write_gff3(tmp_path / "g.gff3", gff3_lines(coding=False)))
        found = Annotator(bases, models).effects("one", at(4) + 1, "G", "A")[0]
    assert (found.hgvs_c, found.hgvs_p) == ("T1.2:n.8G>A", None)
    assert found.terms == ("non_coding_transcript_exon_variant",)


def test_start_codon_other_than_aug_begins_with_methionine():
    """CTG as in WT1: residue 1 is Met, its loss p.Met1?, all else as usual."""
    coding = CodingSequence.of("CTGGCTAAATAA", 12)
    assert coding is not None
    assert coding.protein == "MAK*"
    assert protein_change(coding, 0, 1, "T").name == "Met1?"
    assert protein_change(coding, 4, 5, "A").name == "Ala2Asp"


@pytest.mark.parametrize("bases", ["ATGNCTTAA", "ATGGCT", "ATGTAAGCTTAA", "ATG"])
def test_protein_that_cannot_be_told_is_none(bases):
    assert CodingSequence.of(bases, len(bases)) is None


def test_change_that_reaches_from_the_codons_over_the_stop():
    coding = CodingSequence.of("ATGGCTAAATAACCCTGA", 12)
    assert coding is not None
    assert protein_change(coding, 9, 12, "").name == "Ter4ProextTer1"
    assert protein_change(coding, 6, 12, "").name == "Lys3Pro"
    assert protein_change(coding, 9, 13, "").name == "Ter4ProextTer?"
