"""One transcript a gene, and GFF3 that contradicts itself refused."""

import gzip

import pytest

from pipeline.errors import ConfigRefused, DamagedFile, InputRefused
from pipeline.variants.gene_models import read_gene_models, read_isoforms
from pipeline.variants.reference import Reference
from small_gene import GENE, gff3_lines, write_fasta, write_gff3


def second(transcript, tag="", **kwargs):
    return gff3_lines(transcript=transcript, tag=tag, **kwargs)[1:]  # without the gene's line


def only(models):
    (transcript,) = models.transcripts
    return transcript.name, transcript.chosen_by


def test_configuration_comes_before_mane_and_mane_before_canonical(tmp_path):
    path = write_gff3(
        tmp_path / "g.gff3",
        gff3_lines(tag="basic,Ensembl_canonical"),
        second("T2.1", tag="MANE Select"),
        second("T3.7"),
    )
    assert only(read_gene_models(path)) == ("T2.1", "MANE Select")
    assert only(read_gene_models(path, isoforms={"GENE1": "T3"})) == ("T3.7", "configuration")
    with pytest.raises(ConfigRefused, match=r"configured for GENE1 is not in the gene models.*T1\.2, T2\.1"):
        read_gene_models(path, isoforms={"GENE1": "T9"})
    with pytest.raises(ConfigRefused, match="configured for OTHER, which the gene models lack"):
        read_gene_models(path, isoforms={"OTHER": "T9"})


def test_without_any_tag_the_longest_coding_sequence_is_taken_and_it_is_said(tmp_path):
    path = write_gff3(tmp_path / "g.gff3", gff3_lines(transcript="T1", coding=False), second("T2"))
    assert only(read_gene_models(path)) == ("T2", "longest coding sequence")


def test_isoforms_come_from_a_table(tmp_path):
    path = tmp_path / "i.toml"
    path.write_text('[isoforms]\nKMT2A = "NM_001197104"\n')
    assert read_isoforms(path) == {"KMT2A": "NM_001197104"}
    path.write_text("[isoforms]\nKMT2A = 5\n")
    with pytest.raises(ConfigRefused, match="an isoform is no text"):
        read_isoforms(path)
    path.write_text("")
    with pytest.raises(ConfigRefused, match=r"has no table \[isoforms\]"):
        read_isoforms(path)


def test_packed_file_and_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "g.gff3.gz"
    path.write_bytes(gzip.compress("\r\n".join(["##gff-version 3", *gff3_lines(), "##FASTA", ">x"]).encode()))
    assert only(read_gene_models(path)) == ("T1.2", "only transcript")


def changed(number, column, value):
    """The gene's lines with one cell changed (line 0 gene, 1 mRNA, 2-4 exons, 5-7 CDS)."""
    lines = gff3_lines()
    cells = lines[number].split("\t")
    cells[column] = value
    lines[number] = "\t".join(cells)
    return lines


BROKEN = {
    "eight columns": (["one\tx\texon\t1\t2\t.\t+\t."], "has 8 columns"),
    "GTF": (changed(2, 8, 'gene_id "G"; transcript_id "T"'), "an attribute has no ="),
    "start is no number": (changed(2, 3, "1e3"), "no whole number"),
    "start of zero": (changed(2, 3, "0"), "out of order"),
    "end before start": (changed(2, 4, "1"), "out of order"),
    "end too large to be one": (changed(2, 4, "9" * 30), "no whole number"),
    "strand": (changed(2, 6, "*"), "strand or phase"),
    "phase": (changed(5, 7, "3"), "strand or phase"),
    "phase that does not follow": (changed(6, 7, "1"), "phase does not follow"),
    "no strand": ([line.replace("\t+\t", "\t.\t") for line in gff3_lines()], "no strand"),
    "exon of the other strand": (changed(3, 6, "-"), "another contig or strand"),
    "exons that overlap": (changed(3, 3, "25"), "exons of a transcript overlap"),
    "CDS outside the exons": (changed(7, 4, "130"), "outside the exons"),
    "CDS that leaves exon bases out": (changed(6, 3, "65"), "does not fill the exons"),
    "transcript missing": (gff3_lines()[2:], "a transcript that the file lacks"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_contradiction_is_refused_with_its_line(tmp_path, case):
    lines, match = BROKEN[case]
    with pytest.raises(DamagedFile, match=match) as caught:
        read_gene_models(write_gff3(tmp_path / "g.gff3", lines))
    assert caught.value.line is not None


def test_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / "g.gff3"
    with pytest.raises(InputRefused, match="cannot be read"):
        read_gene_models(path)
    path.write_text("")
    with pytest.raises(InputRefused, match="holds no transcript"):
        read_gene_models(path)
    path.write_bytes(gzip.compress(b"##gff-version 3\n" * 1000)[:-20])
    with pytest.raises(DamagedFile, match="truncated or corrupt"):
        read_gene_models(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DamagedFile, match="not UTF-8"):
        read_gene_models(path)
    path.write_bytes(b"x" * (1 << 21))
    with pytest.raises(DamagedFile, match="longer than 1 MiB"):
        read_gene_models(path)


def test_models_of_another_build_or_spelling_are_refused(tmp_path):
    models = write_gff3(tmp_path / "g.gff3", gff3_lines())
    short = write_fasta(tmp_path / "short.fa", {"one": GENE[:100]})
    with Reference(short) as bases, pytest.raises(InputRefused, match="ends beyond contig one"):
        read_gene_models(models, reference=bases)
    other = write_fasta(tmp_path / "other.fa", {"chrone": GENE})
    with Reference(other) as bases, pytest.raises(InputRefused, match="on a contig of the reference"):
        read_gene_models(models, reference=bases)


def test_coding_sequence_that_begins_inside_a_codon_names_no_protein(tmp_path):
    lines = gff3_lines()
    for number, phase in ((5, "1"), (6, "0"), (7, "0")):
        cells = lines[number].split("\t")
        cells[7] = phase
        lines[number] = "\t".join(cells)
    (transcript,) = read_gene_models(write_gff3(tmp_path / "g.gff3", lines)).transcripts
    assert not transcript.frame_known
