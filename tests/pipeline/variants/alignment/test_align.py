"""From FASTQ to BAM: where reads come from is known, and must be found again with their UMIs."""

import pysam
import pytest
from typer.testing import CliRunner

from molecule_reads import COMPLEMENT, evidence_of, made_up_bases, write_reference
from pipeline.cli.main import app
from pipeline.errors import DamagedFile, InputRefused, UsageError
from pipeline.variants.alignment import align_reads
from pipeline.variants.alignment.aligners import choose_aligner
from pipeline.variants.molecules import MoleculeSettings, UmiSource
from pipeline.variants.reference import Reference

BASES = made_up_bases(6000, 9)
FRAGMENTS = [(1000 + 37 * k, 180, k % 2) for k in range(40)]
NT = 75


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return write_reference(
        tmp_path_factory.mktemp("reference") / "ref.fa", {"chrA": BASES[:500], "chrB": BASES}
    )


def turned(text):
    return text.translate(COMPLEMENT)[::-1]


def write_fastq(folder, *, inline="", in_name="", pairs=FRAGMENTS):
    """Both mates of each fragment; ``strand`` 1 is read from its other end."""
    texts = ["", ""]
    for k, (start, length, strand) in enumerate(pairs):
        ends = [BASES[start : start + NT], turned(BASES[start + length - NT : start + length])]
        for mate in (0, 1):
            bases = inline + ends[mate ^ strand]
            texts[mate] += f"@run:{k}{in_name} {mate + 1}:N:0\n{bases}\n+\n{'F' * len(bases)}\n"
    paths = folder / "r1.fastq", folder / "r2.fastq"
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


def test_every_pair_is_found_where_it_comes_from(reference, tmp_path):
    one, two = write_fastq(tmp_path, in_name=":ACGT+TTGA")
    out = tmp_path / "x.bam"
    with Reference(reference) as bases:
        tally = align_reads(one, two, bases, out, umi=UmiSource.parse("header"), aligner="minimap2")
        md5 = bases.md5("chrB")
    assert (tally.pairs, tally.alignments, tally.unmapped) == (40, 80, 0)
    with pysam.AlignmentFile(str(out)) as file:
        assert file.header.to_dict()["SQ"][1]["M5"] == md5
        assert file.has_index()
        rows = list(file)
    assert [r.reference_start for r in rows] == sorted(r.reference_start for r in rows)
    for row in rows:
        start, length, strand = FRAGMENTS[int(row.query_name.split(":")[1])]
        assert row.reference_name == "chrB"
        assert row.is_reverse == (row.is_read2 == (strand == 0))
        assert row.reference_start == (start + length - NT if row.is_reverse else start)
        assert row.template_length == (-length if row.is_reverse else length)
        assert (row.is_proper_pair, row.get_tag("RX"), row.get_tag("MC")) == (True, "ACGT-TTGA", f"{NT}M")


def test_what_is_aligned_is_evidence(reference, tmp_path):
    """Inline UMIs are cut off, so that both strands of a fragment meet as one duplex molecule."""
    pairs = [(2000, 150, strand) for strand in (0, 1, 0)]
    one, two = write_fastq(tmp_path, inline="ACAC", pairs=pairs)
    out = tmp_path / "x.bam"
    command = ["variants", "align", str(one), str(two), "--reference", str(reference), "--out", str(out),
               "--umi", "inline:4+4"]  # fmt: skip
    ended = CliRunner().invoke(app, command)
    assert ended.exit_code == 0, ended.output
    assert "3 pairs by minimap2" in ended.output
    [evidence] = evidence_of(out, reference, [(2010, 2060)], MoleculeSettings(), contig="chrB")
    assert evidence.counts[:, :4].sum(axis=1).tolist() == [[0, 0, 0, 0, 1]] * 50


def test_unmapped_reads_stay_and_are_counted(reference, tmp_path):
    one, two = write_fastq(tmp_path, pairs=FRAGMENTS[:2])
    two.write_text(two.read_text().replace(turned(BASES[1105:1180]), "A" * NT))
    with Reference(reference) as bases:
        tally = align_reads(
            one, two, bases, tmp_path / "x.bam", umi=UmiSource(kind="none"), aligner="minimap2"
        )
    assert tally.unmapped == 1
    with pysam.AlignmentFile(str(tmp_path / "x.bam")) as file:
        [lost] = [r for r in file.fetch(until_eof=True) if r.is_unmapped]
    assert (lost.reference_start, lost.is_read2, lost.has_tag("RX")) == (1000, True, False)


def test_names_without_umi_are_refused(reference, tmp_path):
    one, two = write_fastq(tmp_path)
    with Reference(reference) as bases, pytest.raises(InputRefused, match="read 1 has no UMI"):
        align_reads(one, two, bases, tmp_path / "x.bam", umi=UmiSource.parse("header"), aligner="minimap2")
    assert not (tmp_path / "x.bam").exists()


def test_mates_shorter_than_their_umi_are_refused(reference, tmp_path):
    one, two = write_fastq(tmp_path)
    umi, out = UmiSource(kind="inline", first_nt=90), tmp_path / "x.bam"
    with Reference(reference) as bases, pytest.raises(InputRefused, match="mates longer than their UMI"):
        align_reads(one, two, bases, out, umi=umi, aligner="minimap2")


def test_truncated_fastq_leaves_no_bam(reference, tmp_path):
    one, two = write_fastq(tmp_path)
    two.write_text(two.read_text()[:-120])
    with Reference(reference) as bases, pytest.raises(DamagedFile, match=r"r2|r1"):
        align_reads(one, two, bases, tmp_path / "x.bam", umi=UmiSource(kind="none"), aligner="minimap2")
    assert not (tmp_path / "x.bam").exists()


def test_an_aligner_is_used_only_where_it_is_ready(reference, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose_aligner(reference) == "minimap2"
    with pytest.raises(UsageError, match="bwa is not on PATH"):
        choose_aligner(reference, "bwa")
    with pytest.raises(UsageError, match="no such aligner"):
        choose_aligner(reference, "bowtie")
    program = tmp_path / "bwa"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert choose_aligner(reference) == "minimap2"
    with pytest.raises(InputRefused, match="has no index of bwa"):
        choose_aligner(reference, "bwa")


@pytest.mark.parametrize(
    ("umi", "out", "message"), [("tag", "x.bam", "FASTQ has no tags"), ("none", "x.sam", "BAM file")]
)
def test_arguments_that_mean_nothing(reference, tmp_path, umi, out, message):
    one, two = write_fastq(tmp_path, pairs=FRAGMENTS[:1])
    command = ["variants", "align", str(one), str(two), "--reference", str(reference), "--out",
               str(tmp_path / out), "--umi", umi]  # fmt: skip
    ended = CliRunner().invoke(app, command)
    assert isinstance(ended.exception, UsageError)
    assert message in str(ended.exception)
