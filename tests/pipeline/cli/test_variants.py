"""``nadir variants annotate`` as it is typed."""

import pysam
from typer.testing import CliRunner

from pipeline.cli.variants import app
from pipeline.errors import UsageError
from small_gene import GENE, at, gff3_lines, write_fasta, write_gff3


def run(tmp_path, *arguments, out="out.vcf.gz"):
    write_fasta(tmp_path / "g.fa", {"one": GENE})
    write_gff3(tmp_path / "g.gff3", gff3_lines())
    place = at(4)
    (tmp_path / "in.vcf").write_text(
        "##fileformat=VCFv4.4\n##contig=<ID=one>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"one\t{place + 1}\t.\t{GENE[place]}\tA,<DEL>\t.\t.\t.\n"
    )
    given = [
        "annotate",
        tmp_path / "in.vcf",
        "--reference",
        tmp_path / "g.fa",
        "--genes",
        tmp_path / "g.gff3",
    ]
    return CliRunner().invoke(app, [*map(str, given), "--out", str(tmp_path / out), *arguments])


def test_annotates_and_says_what_it_wrote(tmp_path):
    result = run(tmp_path)
    assert result.exit_code == 0
    assert "2 alternative alleles, 1 without an allele in bases in" in result.output
    with pysam.VariantFile(str(tmp_path / "out.vcf.gz")) as file:
        assert [r.info.get("HGVSP") for r in file] == [("P1:p.Ala2Thr",), None]


def test_isoform_of_the_table_is_used_and_a_wrong_one_refused(tmp_path):
    table = tmp_path / "i.toml"
    table.write_text('[isoforms]\nGENE1 = "T1"\n')
    assert run(tmp_path, "--isoforms", str(table)).exit_code == 0
    table.write_text('[isoforms]\nGENE1 = "T5"\n')
    result = run(tmp_path, "--isoforms", str(table))
    assert "configured for GENE1 is not in the gene models" in str(result.exception)


def test_input_is_not_overwritten(tmp_path):
    result = run(tmp_path, out="in.vcf")
    assert isinstance(result.exception, UsageError)
    assert (tmp_path / "in.vcf").read_text().startswith("##fileformat")
