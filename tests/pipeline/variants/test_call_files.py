"""BAM to calls: simulated libraries in, VCF out, against what was planted."""

import gzip
import shutil

import numpy as np
import pysam
import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.errors import InputRefused, UsageError
from pipeline.formats.bed import Target, read_targets
from pipeline.variants.calling.background import read_background
from pipeline.variants.calling.files import read_asked
from pipeline.variants.reference import Reference
from pipeline.variants.simulation.design import LibraryDesign
from pipeline.variants.simulation.library import LibraryFiles, simulate_library
from pipeline.variants.simulation.made_up import draw_contigs
from pipeline.variants.simulation.planted import draw_germline, draw_somatic
from pipeline.variants.simulation.truth import write_truth_vcf
from small_gene import write_fasta

pytestmark = pytest.mark.timeout(400)  # the first test compiles the kernels of three packages

TARGETS = (Target("one", 500, 900), Target("two", 500, 800))
KINDS = {"snv": 3, "mnv": 1, "insertion": 2, "deletion": 2, "complex": 1}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A sample with variants of 3 %, two controls, their background and the sample's calls."""
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(21)
    contigs = draw_contigs(rng, {"one": 1500, "two": 1400})
    with Reference(write_fasta(folder / "r.fa", contigs)) as reference:
        germline = draw_germline(reference, TARGETS, 2, rng)
        somatic = draw_somatic(reference, TARGETS, [0.03], KINDS, rng, taken=germline)
        for name, planted in (("sample", [*germline, *somatic]), ("control_1", ()), ("control_2", germline)):
            files = LibraryFiles(bam=folder / f"{name}.bam")
            design = LibraryDesign(depth_molecules=600)
            truth = simulate_library(reference, TARGETS, planted, design, rng, files, sample=name)
            write_truth_vcf(folder / f"{name}.truth.vcf.gz", truth, reference, name)
    (folder / "t.bed").write_text("".join(f"{t.contig}\t{t.start}\t{t.end}\n" for t in TARGETS))
    run(folder, "background", "control_1.bam", "control_2.bam", "--out", "b.parquet")
    run(
        folder, "call", "sample.bam", "--out", "x.vcf.gz", "--background", "b.parquet", "--limits", "x.tsv.gz"
    )
    return folder


def run(folder, command, *arguments):
    paths = [str(folder / a) if "." in a and not a.startswith("-") else a for a in arguments]
    given = ["--reference", str(folder / "r.fa"), "--targets", str(folder / "t.bed")]
    ended = CliRunner().invoke(app, ["variants", command, *paths, *given], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended


def records(path):
    with pysam.VariantFile(str(path)) as file:
        return {(r.chrom, r.pos, r.ref, r.alts[0]): r for r in file}


def test_what_was_planted_is_called_and_nothing_else(study):
    truth, found = records(study / "sample.truth.vcf.gz"), records(study / "x.vcf.gz")
    called = {key for key, record in found.items() if list(record.filter) == ["PASS"]}
    assert called == set(truth)
    kinds = {found[key].info["KIND"] for key in truth}
    assert kinds == {"snv", "mnv", "insertion", "deletion", "complex"}


def test_vafs_are_the_shares_of_molecules(study):
    truth, found = records(study / "sample.truth.vcf.gz"), records(study / "x.vcf.gz")
    for key, record in truth.items():
        sample = found[key].samples[0]
        share = record.info["MUTANT"] / record.info["MOLECULES"]
        assert abs(sample["VAF"] - share) < 0.01
        if share < 1:  # where every molecule has it, one foreign molecule leaves the interval below 1
            assert sample["VAF_LOW"] <= share <= sample["VAF_HIGH"]
        assert sample["AD"][1] == pytest.approx(record.info["MUTANT"], rel=0.15, abs=3)
        assert sample["DUP"] <= record.info["DUPLEX_MUTANT"] + 1


def test_a_control_without_variants_has_no_calls(study):
    run(study, "call", "control_1.bam", "--out", "c.vcf.gz", "--background", "b.parquet")
    assert [k for k, r in records(study / "c.vcf.gz").items() if list(r.filter) == ["PASS"]] == []


def test_every_target_site_has_a_limit(study):
    with gzip.open(study / "x.tsv.gz", "rt") as file:
        header, *rows = [line.rstrip("\n").split("\t") for line in file]
    assert header == ["chrom", "pos", "ref", "depth_molecules", "duplex_molecules", "lod", "reason"]
    sites = {(row[0], int(row[1])) for row in rows}
    assert sites == {(t.contig, p + 1) for t in TARGETS for p in range(t.start, t.end)}
    limits = np.array([float(row[5]) for row in rows])
    depth = np.array([float(row[3]) for row in rows])
    assert ((limits > 2 / depth) & (limits < 0.05)).all()


def test_sites_of_another_file_get_a_record_each(study):
    given = ["--background", "b.parquet", "--sites", "sample.truth.vcf.gz"]
    run(study, "call", "control_1.bam", "--out", "s.vcf.gz", *given)
    asked, found = records(study / "sample.truth.vcf.gz"), records(study / "s.vcf.gz")
    assert set(asked) <= set(found)
    for key in asked:
        assert found[key].samples[0]["GT"] == (0, 0)
        assert "not_detected" in list(found[key].filter)
        assert 0 < found[key].samples[0]["LOD"] < 0.05


def test_threads_and_order_of_reads_change_nothing(study, tmp_path):
    run(study, "call", "sample.bam", "--out", "t.vcf.gz", "--background", "b.parquet", "--threads", "3")
    assert (study / "t.vcf.gz").read_bytes() == (study / "x.vcf.gz").read_bytes()
    with pysam.AlignmentFile(str(study / "sample.bam")) as file:
        reads, header = list(file), file.header.to_dict()
    header["HD"]["SO"] = "unsorted"
    order = np.random.default_rng(1).permutation(len(reads))
    folder = study / "mixed"
    folder.mkdir()
    with pysam.AlignmentFile(str(folder / "sample.bam"), "wb", header=header) as file:
        for k in order:
            file.write(reads[k])
    run(study, "call", "mixed/sample.bam", "--out", "m.vcf.gz", "--background", "b.parquet")
    assert (study / "m.vcf.gz").read_bytes() == (study / "x.vcf.gz").read_bytes()


def test_without_controls_the_sample_teaches_itself(study):
    ended = run(study, "call", "sample.bam", "--out", "o.vcf.gz")
    assert "the sample itself" in ended.output
    truth, found = records(study / "sample.truth.vcf.gz"), records(study / "o.vcf.gz")
    called = {key for key, record in found.items() if list(record.filter) == ["PASS"]}
    assert called == set(truth)


def test_bcftools_reads_the_file_without_a_word(study):
    if shutil.which("bcftools") is None:
        pytest.skip("needs bcftools on PATH")
    import subprocess

    for command in (["view"], ["norm", "-f", str(study / "r.fa"), "-c", "e"]):
        ended = subprocess.run(
            ["bcftools", *command, str(study / "x.vcf.gz")], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        talk = [line for line in ended.stderr.splitlines() if not line.startswith("Lines   total/split")]
        assert talk == []
    moved = ended.stdout.count("\n") and [line for line in ended.stderr.splitlines() if "realigned" in line]
    assert all("/0/" in line or line.split("\t")[-1].split("/")[2] == "0" for line in moved or [])


def test_a_background_of_other_chemistry_is_refused(study):
    given = ["--reference", str(study / "r.fa"), "--targets", str(study / "t.bed")]
    command = [
        "variants",
        "call",
        str(study / "sample.bam"),
        "--umi",
        "none",
        "--out",
        str(study / "u.vcf.gz"),
    ]
    ended = CliRunner().invoke(app, [*command, *given, "--background", str(study / "b.parquet")])
    assert isinstance(ended.exception, InputRefused)
    assert "has no UMIs, but the background was learned with them" in str(ended.exception)
    assert not (study / "u.vcf.gz").exists()


def test_one_control_is_not_enough(study):
    given = ["--reference", str(study / "r.fa"), "--targets", str(study / "t.bed")]
    bam = str(study / "control_1.bam")
    ended = CliRunner().invoke(
        app, ["variants", "background", bam, bam, "--out", str(study / "n.parquet"), *given]
    )
    assert isinstance(ended.exception, UsageError)
    assert "two controls or more" in str(ended.exception)


def test_the_background_knows_what_was_simulated(study):
    found = read_background(study / "b.parquet")
    single, family, duplex = found.substitution.mean(axis=(0, 1))
    assert duplex < family < single < 1e-2
    assert found.samples == 2
    with Reference(study / "r.fa") as reference:
        assert len(found.sites.molecules) == sum(
            t.length_nt for t in read_targets(study / "t.bed", reference.lengths_nt)
        )


@pytest.mark.parametrize(
    ("record", "message"),
    [("one\t600\t.\tNN\tA", "REF|bases"), ("one\t600\t.\tA\t<DEL>", "not given in bases")],
)
def test_sites_that_mean_nothing_are_refused(study, tmp_path, record, message):
    path = tmp_path / "v.vcf"
    head = "##fileformat=VCFv4.2\n##contig=<ID=one>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    path.write_text(head + record + "\t.\t.\t.\n")
    with Reference(study / "r.fa") as reference, pytest.raises(InputRefused, match=message):
        read_asked(path, reference)
