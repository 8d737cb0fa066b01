"""VCF in, VCF out: splitting, phase, notes, and files that must not pass."""

import pysam
import pytest

from pipeline.errors import DamagedFile, InputRefused
from pipeline.variants.annotate import AnnotationSettings, annotate_vcf
from pipeline.variants.effect import Annotator
from pipeline.variants.gene_models import read_gene_models
from pipeline.variants.reference import Reference
from pipeline.variants.vcf_text import Numbers, split_alleles, with_info
from small_gene import GENE, at, gff3_lines, write_fasta, write_gff3

HEAD = f"""##fileformat=VCFv4.4
##contig=<ID=one,length={len(GENE)}>
##FILTER=<ID=slip,Description="d">
##ALT=<ID=DEL,Description="d">
##INFO=<ID=CSQ,Number=1,Type=String,Description="of another program">
##INFO=<ID=AF,Number=A,Type=Float,Description="d">
##FORMAT=<ID=GT,Number=1,Type=String,Description="d">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="d">
##FORMAT=<ID=PL,Number=G,Type=Integer,Description="d">
##FORMAT=<ID=PS,Number=1,Type=Integer,Description="d">
"""
COLUMNS = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", "S"]


@pytest.fixture
def annotator(tmp_path):
    bases = Reference(write_fasta(tmp_path / "g.fa", {"one": GENE}))
    yield Annotator(bases, read_gene_models(write_gff3(tmp_path / "g.gff3", gff3_lines())))
    bases.__exit__(None, None, None)


def vcf(path, *records, head=HEAD, columns=COLUMNS):
    lines = ["\t".join(columns), *("\t".join(map(str, record)) for record in records)]
    path.write_text(head + "\n".join(lines) + "\n")
    return path


def record(c_position, alt, genotype="0/1", *, ref=None, info=".", more=""):
    """A substitution of a coding base (positive strand), or other alleles of the record there."""
    place = at(c_position)
    keys = "GT" + "".join(f":{part.partition('=')[0]}" for part in more.split())
    values = genotype + "".join(f":{part.partition('=')[2]}" for part in more.split())
    return ["one", place + 1, ".", ref or GENE[place], alt, ".", "PASS", info, keys, values]


def annotated(tmp_path, annotator, *records, **settings):
    out = tmp_path / "out.vcf.gz"
    tally = annotate_vcf(vcf(tmp_path / "in.vcf", *records), out, annotator, AnnotationSettings(**settings))
    with pysam.VariantFile(str(out)) as file:
        return list(file), tally


def test_names_are_written_and_what_was_there_is_kept(tmp_path, annotator):
    (found,), tally = annotated(tmp_path, annotator, record(4, "A", info="AF=0.25;CSQ=old", more="AD=6,2"))
    assert found.info["GENE"] == ("GENE1",)
    assert found.info["HGVSG"] == (f"one:g.{at(4) + 1}G>A",)
    assert found.info["HGVSC"] == ("T1.2:c.4G>A",)
    assert found.info["HGVSP"] == ("P1:p.Ala2Thr",)
    assert found.info["CSQ"] == ("missense_variant",)
    assert found.info["AF"] == (0.25,)
    assert found.samples[0]["AD"] == (6, 2)
    assert "ANNOTATION_NOTE" not in found.info
    assert (tally.alleles, tally.unnamed, tally.notes) == (1, 0, {})


def test_equals_sign_of_a_synonymous_change_is_percent_encoded(tmp_path, annotator):
    (found,), _ = annotated(tmp_path, annotator, record(6, "C"))
    assert found.info["HGVSP"] == ("P1:p.Ala2%3D",)


def test_predicted_proteins_get_parentheses_on_request(tmp_path, annotator):
    changes = (record(2, "C"), record(4, "A"), ["one", at(13) + 2, ".", "G", "A", ".", ".", ".", "GT", "0/1"])
    found, _ = annotated(tmp_path, annotator, *changes, parentheses=True)
    assert [r.info["HGVSP"][0] for r in found] == ["P1:p.(Met1?)", "P1:p.(Ala2Thr)", "P1:p.?"]


def test_multi_allelic_record_is_split_with_its_numbers(tmp_path, annotator):
    wide = record(4, "A,T,<DEL>", "1/2", info="AF=.1,.2,.3", more="AD=5,6,7,8 PL=0,1,2,3,4,5,6,7,8,9")
    found, tally = annotated(tmp_path, annotator, wide)
    assert [r.alts for r in found] == [("A",), ("T",), ("<DEL>",)]
    assert [r.info["AF"][0] for r in found] == pytest.approx([0.1, 0.2, 0.3])
    assert [r.samples[0]["AD"] for r in found] == [(5, 6), (5, 7), (5, 8)]
    assert [r.samples[0]["PL"] for r in found] == [(0, 1, 2), (0, 3, 5), (0, 6, 9)]
    assert [r.samples[0]["GT"] for r in found] == [(1, None), (None, 1), (None, None)]
    assert [r.info.get("HGVSP") for r in found] == [("P1:p.Ala2Thr",), ("P1:p.Ala2Ser",), None]
    assert (tally.alleles, tally.unnamed) == (3, 1)


def test_number_of_values_that_is_not_as_declared_becomes_missing():
    numbers = Numbers(info={"AF": "A"}, format={"AD": "R"})
    wide = ["c", "1", ".", "A", "C,G", ".", ".", "AF=0.1;DB", "GT:AD", "0/2:3"]
    assert split_alleles(wide, numbers)[1] == ["c", "1", ".", "A", "G", ".", ".", "AF=.;DB", "GT:AD", "0/1:."]


def test_info_is_replaced_and_encoded():
    assert with_info("DP=3;GENE=old", {"GENE": ["a;b", None], "CSQ": [None]}) == "DP=3;GENE=a%3Bb,."
    assert with_info(".", {"GENE": []}) == "."


def test_phased_substitutions_of_one_codon_are_named_as_one(tmp_path, annotator):
    pair = (record(16, "T", "0|1"), record(18, "A", "0|1"))
    apart, _ = annotated(tmp_path, annotator, *pair)
    assert [r.info["HGVSP"][0] for r in apart] == ["P1:p.Arg6Cys", "P1:p.Arg6%3D"]
    found, tally = annotated(tmp_path, annotator, *pair, merge_phased=True)
    assert [r.info["HGVSC"][0] for r in found] == ["T1.2:c.16_18delinsTGA"] * 2
    assert [r.info["HGVSP"][0] for r in found] == ["P1:p.Arg6Ter"] * 2
    assert [r.info["PHASED_MNV"][0] for r in found] == [f"one:{at(16) + 1}:CGT:TGA"] * 2
    assert [r.alts[0] for r in found] == ["T", "A"]  # records and their counts stay as they were
    assert tally.merged == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (record(16, "T", "0|1"), record(18, "A", "1|0")),  # other haplotype
        (record(16, "T", "0/1"), record(18, "A", "0/1")),  # not phased
        (record(16, "T", "0|1", more="PS=1"), record(18, "A", "0|1", more="PS=2")),  # other phase set
        (record(18, "A", "0|1"), record(20, "A", "0|1")),  # other codon, a base between
        (record(16, "T", "0|1"), record(21, "A", "0|1")),  # too far
    ],
)
def test_substitutions_that_do_not_belong_together_keep_their_names(tmp_path, annotator, first, second):
    found, tally = annotated(tmp_path, annotator, first, second, merge_phased=True)
    assert all("PHASED_MNV" not in r.info for r in found)
    assert tally.merged == 0


def test_adjacent_phased_substitutions_are_one_even_over_codons(tmp_path, annotator):
    found, _ = annotated(
        tmp_path, annotator, record(18, "A", "0|1"), record(19, "A", "0|1"), merge_phased=True
    )
    assert {r.info["HGVSC"][0] for r in found} == {"T1.2:c.18_19delinsAA"}


def test_records_without_alternative_bases_pass_through(tmp_path, annotator):
    found, tally = annotated(tmp_path, annotator, record(4, "."), record(4, "*"))
    assert [dict(r.info) for r in found] == [{}, {}]
    assert tally.unnamed == 2


def test_plain_output_is_the_packed_one_unpacked_and_the_same_each_time(tmp_path, annotator):
    source = vcf(tmp_path / "in.vcf", record(4, "A"), record(6, "C"))
    for name in ("a.vcf", "b.vcf.gz", "c.vcf.gz"):
        annotate_vcf(source, tmp_path / name, annotator)
    assert (tmp_path / "b.vcf.gz").read_bytes() == (tmp_path / "c.vcf.gz").read_bytes()
    with pysam.BGZFile(str(tmp_path / "b.vcf.gz"), "rb") as packed:
        assert packed.read() == (tmp_path / "a.vcf").read_bytes()


def test_wrong_ref_is_refused_with_position_and_nothing_is_written(tmp_path, annotator):
    source = vcf(tmp_path / "in.vcf", record(4, "A"), record(6, "C", ref="G"))
    with pytest.raises(InputRefused, match=f"one:{at(6) + 1}: REF is not what the reference has there"):
        annotate_vcf(source, tmp_path / "out.vcf.gz", annotator)
    assert not (tmp_path / "out.vcf.gz").exists()


def test_other_build_is_told_by_length_md5_or_name_of_the_contig(tmp_path, annotator):
    out = tmp_path / "out.vcf"
    longer = HEAD.replace(f"length={len(GENE)}", "length=99999")
    with pytest.raises(InputRefused, match=r"nucleotides long.*99,999.*same genome build"):
        annotate_vcf(vcf(tmp_path / "in.vcf", record(4, "A"), head=longer), out, annotator)
    other = HEAD.replace(f"length={len(GENE)}", f"length={len(GENE)},md5={'0' * 32}")
    with pytest.raises(InputRefused, match="has MD5"):
        annotate_vcf(vcf(tmp_path / "in.vcf", record(4, "A"), head=other), out, annotator)
    renamed = ["chrone", *record(4, "A")[1:]]
    with pytest.raises(InputRefused, match="has contig one but not chrone"):
        annotate_vcf(
            vcf(tmp_path / "in.vcf", renamed, head=HEAD.replace("ID=one", "ID=chrone")), out, annotator
        )


def test_damaged_and_foreign_files_are_refused(tmp_path, annotator):
    out = tmp_path / "out.vcf"
    with pytest.raises(InputRefused, match="cannot be read"):
        annotate_vcf(tmp_path / "none.vcf", out, annotator)
    (tmp_path / "empty.vcf").write_bytes(b"")
    with pytest.raises(DamagedFile, match="is empty"):
        annotate_vcf(tmp_path / "empty.vcf", out, annotator)
    (tmp_path / "text.vcf").write_text("gene,position\nTP53,12\n")
    with pytest.raises(InputRefused, match="cannot be read as VCF"):
        annotate_vcf(tmp_path / "text.vcf", out, annotator)
    whole = vcf(tmp_path / "in.vcf", *[record(4, "A")] * 50)
    pysam.tabix_compress(str(whole), str(tmp_path / "cut.vcf.gz"))
    packed = (tmp_path / "cut.vcf.gz").read_bytes()
    (tmp_path / "cut.vcf.gz").write_bytes(packed[:-28])
    with pytest.raises(DamagedFile, match="is truncated"):
        annotate_vcf(tmp_path / "cut.vcf.gz", out, annotator)


def test_phase_of_several_samples_is_refused(tmp_path, annotator):
    two = vcf(tmp_path / "in.vcf", [*record(4, "A"), "0/1"], columns=[*COLUMNS, "S2"])
    with pytest.raises(InputRefused, match="holds 2 samples"):
        annotate_vcf(two, tmp_path / "out.vcf", annotator, AnnotationSettings(merge_phased=True))
