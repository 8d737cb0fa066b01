"""Exchanged samples and contamination from common SNPs; fragments and their ends."""

import json

import numpy as np
import pysam
import pytest
from typer.testing import CliRunner

from cfdna.cli import app
from cfdna.counting.fragments import motif_diversity, profile_fragments
from cfdna.identity.genotypes import SnpCounts, compare_samples, estimate_contamination


def person(rng, frequency):
    return rng.binomial(2, frequency)


def counts(rng, genotypes, frequency, *, depth=100, other=None, share=0.0, name="s"):
    alt_share = genotypes / 2 if other is None else (1 - share) * genotypes / 2 + share * other / 2
    total = rng.poisson(depth, len(genotypes))
    alt = rng.binomial(total, alt_share * 0.999 + (1 - alt_share) * 0.001)
    return SnpCounts(sample=name, ref=total - alt, alt=alt, frequency=frequency)


def test_twenty_snps_tell_exchanged_samples_from_one_persons(rng):
    verdicts = {"same": 0, "different": 0}
    for _ in range(100):
        frequency = rng.uniform(0.35, 0.5, 24)
        one, two = person(rng, frequency), person(rng, frequency)
        mine = counts(rng, one, frequency)
        verdicts["same"] += compare_samples(mine, counts(rng, one, frequency)).verdict == "same"
        verdicts["different"] += compare_samples(mine, counts(rng, two, frequency)).verdict == "different"
        assert compare_samples(mine, counts(rng, one, frequency)).verdict != "different"
        assert compare_samples(mine, counts(rng, two, frequency)).verdict != "same"
    assert min(verdicts.values()) >= 98


def test_fewer_than_twenty_snps_decide_nothing(rng):
    frequency = np.full(19, 0.4)
    found = compare_samples(*(counts(rng, person(rng, frequency), frequency) for _ in range(2)))
    assert found.verdict == "not_evaluable"
    assert "at least 20 SNPs" in found.reason
    assert estimate_contamination(counts(rng, person(rng, frequency), frequency)).fraction is None


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05])
def test_contamination_is_found_within_three_tenths_of_a_point(rng, share):
    frequency = rng.uniform(0.3, 0.5, 24)
    found = []
    for _ in range(20):
        mixed = counts(
            rng, person(rng, frequency), frequency, depth=3000, other=person(rng, frequency), share=share
        )
        found.append(estimate_contamination(mixed).fraction)
    assert abs(np.mean(found) - share) <= 0.003
    assert np.mean(np.abs(np.array(found) - share) <= 0.003) >= 0.8


def write_fragments(path, lengths):
    header = {"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": [{"SN": "chr1", "LN": 10_000}]}
    reads = []
    for number, length in enumerate(lengths):
        for first in (True, False):
            read = pysam.AlignedSegment()
            start = 100 + number
            read.query_name = f"f{number}"
            read.query_sequence = ("CCCA" + "T" * 46) if first else ("T" * 46 + "CGGG")
            read.query_qualities = pysam.qualitystring_to_array("I" * 50)
            read.flag, read.mapping_quality = (99 if first else 147), 60
            read.reference_id = read.next_reference_id = 0
            read.reference_start = start if first else start + length - 50
            read.next_reference_start = start + length - 50 if first else start
            read.template_length = length if first else -length
            read.cigarstring = "50M"
            reads.append(read)
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        for read in sorted(reads, key=lambda r: r.reference_start):
            file.write(read)
    pysam.index(str(path))
    return path


def test_lengths_and_motifs_are_counted_once_a_fragment(tmp_path):
    path = write_fragments(tmp_path / "f.bam", [120, 120, 167, 200])
    with pysam.AlignmentFile(str(path)) as file:
        profile = profile_fragments(file.fetch(), mapping_quality_min=20)
    assert (profile.fragments, profile.lengths[120], profile.short_long_ratio) == (4, 2, 1.0)
    assert profile.motifs == {"CCCA": 4, "CCCG": 4}
    assert motif_diversity(profile.motifs) == pytest.approx(np.log(2) / np.log(256))
    ended = CliRunner().invoke(app, ["fragments", str(path), "--out", str(tmp_path / "out")])
    assert ended.exit_code == 0, ended.output
    assert json.loads((tmp_path / "out" / "fragments.json").read_text())["fragments"] == 4
    assert (tmp_path / "out" / "lengths.csv").read_text().splitlines()[1] == "120,2"


def test_identity_command_writes_every_pair(tmp_path):
    bam = write_fragments(tmp_path / "f.bam", [120] * 30)
    snps = tmp_path / "s.vcf"
    snps.write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n"
        '##INFO=<ID=AF,Number=A,Type=Float,Description="f">\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n'
        + "".join(f"chr1\t{p}\t.\tT\tC\t.\t.\tAF=0.4\n" for p in range(130, 155))
    )
    ended = CliRunner().invoke(
        app, ["identity", str(bam), str(bam), "--snps", str(snps), "--out", str(tmp_path / "out")]
    )
    assert ended.exit_code == 0, ended.output
    document = json.loads((tmp_path / "out" / "identity.json").read_text())
    assert document["relations"][0]["snps"] == 25
    assert len(document["contamination"]) == 2
