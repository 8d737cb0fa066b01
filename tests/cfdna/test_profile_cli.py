"""`nadir cfdna normals` and `profile`: from BAMs to arms, partners and a karyotype."""

import csv
import json

import numpy as np
import pysam
import pytest
from typer.testing import CliRunner

from cfdna.cli import app
from cfdna.copy_number.bin_files import read_karyotype
from cfdna.copy_number.genome import CHROMOSOMES, arms
from cfdna.profile.target_depth import read_normals, write_normals
from pipeline.errors import DamagedFile, InputRefused
from pipeline.formats.bed import Target, read_targets

ARMS = [a for a in arms() if a.chromosome in ("1", "2", "3", "4", "11", "13", "14")]
HEADER = pysam.AlignmentHeader.from_dict(
    {
        "HD": {"VN": "1.6", "SO": "coordinate"},
        "SQ": [{"SN": f"chr{c}", "LN": v.length_nt} for c, v in CHROMOSOMES.items()],
    }
)


def targets_of(arm):
    middle = (arm.start + arm.end) // 2
    return [(f"chr{arm.chromosome}", middle + 10_000 * i, middle + 10_000 * i + 200) for i in range(4)]


def read(name, contig, start, *, mate=None):
    found = pysam.AlignedSegment(HEADER)
    found.query_name, found.query_sequence = name, "A" * 50
    found.query_qualities = pysam.qualitystring_to_array("I" * 50)
    found.flag, found.mapping_quality, found.cigarstring = (0 if mate is None else 97), 60, "50M"
    found.reference_id, found.reference_start = HEADER.get_tid(contig), start
    if mate is not None:
        found.next_reference_id, found.next_reference_start = HEADER.get_tid(mate[0]), mate[1]
    return found


def write(path, rng, copies, *, translocation=False):
    reads = []
    for arm in ARMS:
        depth = 200 * (1 + 0.5 * (copies.get(arm.name, 2) - 2) / 2)
        for contig, start, _ in targets_of(arm):
            reads += [read(f"{start}-{i}", contig, start + i % 100) for i in range(rng.poisson(depth))]
    if translocation:
        reads += [
            read(f"t{i}", "chr14", 105_862_000 + 7 * i, mate=("chr11", 69_600_000 + 11 * i)) for i in range(6)
        ]
    with pysam.AlignmentFile(str(path), "wb", header=HEADER) as file:
        for one in sorted(reads, key=lambda r: (r.reference_id, r.reference_start)):
            file.write(one)
    pysam.index(str(path))
    return path


def nadir(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_from_bams_to_arms_partners_and_karyotype(tmp_path, rng):
    bed = tmp_path / "t.bed"
    bed.write_text("".join("\t".join(map(str, t)) + "\n" for arm in ARMS for t in targets_of(arm)))
    normal = [write(tmp_path / f"n{i}.bam", rng, {}) for i in range(5)]
    ended = nadir("normals", *normal, "--targets", bed, "--out", tmp_path / "n.parquet")
    assert ended.exit_code == 0, ended.output
    tumour = write(tmp_path / "t.bam", rng, {"1q": 3, "13q": 1}, translocation=True)
    out = tmp_path / "out"
    ended = nadir("profile", tumour, "--targets", bed, "--normals", tmp_path / "n.parquet", "--out", out)
    assert ended.exit_code == 0, ended.output
    with (out / "arms.csv").open() as file:
        states = {row["arm"]: row["state"] for row in csv.DictReader(file)}
    assert {a: s for a, s in states.items() if s != "neutral"} == {"1q": "gain", "13q": "loss"}
    document = json.loads((out / "profile.json").read_text())
    assert [(c["event"], c["fragments"]) for c in document["partners"]] == [("t(11;14)", 6)]
    assert document["arms"]["purity"] == pytest.approx(0.5, abs=0.08)
    assert [(s.chrom, s.copies) for s in read_karyotype(out / "karyotype.bed")] == [("1", 3.0), ("13", 1.0)]
    without = nadir("profile", normal[0], "--targets", bed, "--out", tmp_path / "o2")
    assert "arms: not evaluable without --normals" in without.output
    assert json.loads((tmp_path / "o2" / "profile.json").read_text())["arms"] is None


def test_normals_belong_to_their_targets(tmp_path):
    targets = [Target("chr1", 10, 20), Target("chr2", 10, 20)]
    write_normals(tmp_path / "n.parquet", targets, np.ones((3, 2)))
    assert read_normals(tmp_path / "n.parquet", targets).shape == (3, 2)
    with pytest.raises(InputRefused, match="made for other targets"):
        read_normals(tmp_path / "n.parquet", targets[:1])
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(DamagedFile, match="no table of normal samples"):
        read_normals(tmp_path / "x.parquet", targets)


def test_targets_outside_the_bam_are_refused(tmp_path, rng):
    bam = write(tmp_path / "n.bam", rng, {})
    bed = tmp_path / "t.bed"
    bed.write_text("1\t10\t20\n")
    ended = nadir("normals", bam, "--targets", bed, "--out", tmp_path / "n.parquet")
    assert isinstance(ended.exception, InputRefused)
    assert "does not hold the target 1:11-20" in str(ended.exception)
    assert read_targets(bed)[0].length_nt == 10
