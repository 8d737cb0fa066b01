"""Arms of a tumour against pooled normals, and partners of the IGH locus."""

import numpy as np
import pysam
import pytest

from cfdna.copy_number.genome import arms
from cfdna.profile.arms import ArmCall, call_arms, is_hyperdiploid
from cfdna.profile.partners import PartnerRules, call_partners, find_junctions, load_regions
from pipeline.errors import ConfigRefused

ARMS = [a.name for a in arms() if a.chromosome != "X"]
BINS_PER_ARM = 12
RULES = PartnerRules()
BAITS, PARTNERS = load_regions()


def panel(rng, copies, purity, *, normals=30):
    """Counts of 200x bins: capture differs by bin, samples by depth and an odd bin or two."""
    names = [a for a in ARMS for _ in range(BINS_PER_ARM)]
    capture = 200 * rng.lognormal(0, 0.4, len(names))
    growth = np.array([1 + purity * (copies.get(a, 2) - 2) / 2 for a in names])

    def draw(expected):
        odd = rng.random(len(names)) < 0.01
        noisy = (
            expected * rng.lognormal(0, 0.05, len(names)) * np.where(odd, rng.uniform(0.3, 2, len(names)), 1)
        )
        return rng.poisson(noisy * rng.uniform(0.7, 1.3)).astype(float)

    return draw(capture * growth), np.array([draw(capture) for _ in range(normals)]), names


def karyotype(rng):
    """Changes of myeloma at random: hyperdiploid or not, 1q, 13q, 17p, 1p and a few others."""
    copies = {}
    if rng.random() < 0.5:
        for chromosome in rng.choice(["3", "5", "7", "9", "11", "15", "19", "21"], 5, replace=False):
            copies |= {a: 3 for a in ARMS if a[:-1] == chromosome}
    for arm, number in (
        ("1q", int(rng.integers(3, 5))),
        ("13q", 1),
        ("17p", 1),
        ("1p", 1),
        ("8p", 1),
        ("6q", 1),
    ):
        if rng.random() < 0.4:
            copies[arm] = number
    return copies


def test_arms_are_called_at_a_purity_of_forty_per_cent(rng):
    true_positive = false_positive = false_negative = 0
    for _ in range(12):
        copies = karyotype(rng)
        counts, normals, names = panel(rng, copies, 0.4)
        for call in call_arms(counts, normals, names).arms:
            sign = np.sign(copies.get(call.arm, 2) - 2)
            seen = np.sign((call.copies or 2) - 2)
            true_positive += bool(sign and sign == seen)
            false_positive += bool(seen and sign != seen)
            false_negative += bool(sign and sign != seen)
    f1 = 2 * true_positive / (2 * true_positive + false_positive + false_negative)
    assert f1 >= 0.95


def test_normals_have_no_arm_gained_or_lost(rng):
    for _ in range(5):
        counts, normals, names = panel(rng, {}, 0.0)
        found = call_arms(counts, normals, names)
        assert {a.state for a in found.arms} == {"neutral"}
        assert found.purity == 0.0


def test_purity_is_found(rng):
    counts, normals, names = panel(rng, {"1q": 3, "13q": 1, "17p": 1}, 0.4)
    assert call_arms(counts, normals, names).purity == pytest.approx(0.4, abs=0.03)


def test_few_normals_are_said(rng):
    counts, normals, names = panel(rng, {}, 0.0, normals=4)
    found = call_arms(counts, normals, names)
    assert found.low_confidence
    assert "4 normal samples" in found.reason
    with pytest.raises(ValueError, match="no normal sample"):
        call_arms(counts, normals[:0], names)


def arm_calls(**states):
    return [
        ArmCall(arm=a.removeprefix("c"), bins=9, ratio=1.0, standard_error=0.1, copies=2, state=s)
        for a, s in states.items()
    ]


def test_hyperdiploidy_has_three_answers():
    gained = {"c3p": "gain", "c3q": "gain", "c15q": "gain"}
    every = {f"c{c}{side}": "neutral" for c in ("3", "5", "7", "9", "11", "19") for side in "pq"} | {
        "c15q": "neutral",
        "c21q": "neutral",
    }
    assert is_hyperdiploid(arm_calls(**every | gained)) is True
    assert is_hyperdiploid(arm_calls(**every)) is False
    assert is_hyperdiploid(arm_calls(**every | {"c3p": "gain", "c3q": "gain", "c5p": "gain"})) is False
    assert is_hyperdiploid(arm_calls(**gained | {"c15q": "neutral"})) is None


HEADER = pysam.AlignmentHeader.from_dict(
    {"SQ": [{"SN": f"chr{c}", "LN": 250_000_000} for c in (4, 11, 14, 16, 20, 6, 8, 2)]}
)


def bait_read(name, position, mate_contig, mate_position, *, split_at=None):
    read = pysam.AlignedSegment(HEADER)
    read.query_name, read.query_sequence = name, "A" * 100
    read.flag, read.mapping_quality = 97, 60
    read.reference_id, read.reference_start = HEADER.get_tid("chr14"), position
    read.cigarstring = "100M" if split_at is None else "60M40S"
    read.next_reference_id, read.next_reference_start = HEADER.get_tid(mate_contig), mate_position
    if split_at is not None:
        read.set_tag("SA", f"{mate_contig},{split_at},+,60S40M,60,0;")
    return read


def translocated(rng, partner, fragments, *, prefix="f"):
    """Fragments of 167 +- 20 nt over one breakpoint."""
    at, there = 105_862_000, (partner.start + partner.end) // 2
    reads = []
    for number in range(fragments):
        length = int(rng.normal(167, 20))
        left = int(rng.integers(20, length - 20))
        if left <= 80 and number % 2:
            read = bait_read(f"{prefix}{number}", at - 60, f"chr{partner.chrom}", there + 20, split_at=there)
        else:
            read = bait_read(
                f"{prefix}{number}", at - max(left, 100), f"chr{partner.chrom}", there + length - left
            )
        reads.append(read)
    return reads


def chimaeras(rng, number):
    """What ligation makes: any bait position with any place of the genome."""
    contigs = ["chr4", "chr11", "chr16", "chr20", "chr6", "chr8", "chr2"]
    return [
        bait_read(
            f"c{i}",
            int(rng.integers(105_600_000, 106_800_000)),
            str(rng.choice(contigs)),
            int(rng.integers(1_000_000, 100_000_000)),
        )
        for i in range(number)
    ]


def test_partners_with_five_fragments_are_found(rng):
    found = 0
    for round_ in range(10):
        for partner in PARTNERS:
            reads = translocated(rng, partner, 5, prefix=f"{round_}-") + chimaeras(rng, 50)
            calls = call_partners(find_junctions(reads, BAITS, PARTNERS, RULES), PARTNERS, RULES)
            found += [c.event for c in calls] == [partner.event]
    assert found / (10 * len(PARTNERS)) >= 0.95


def test_normals_show_no_partner(rng):
    for _ in range(5):
        junctions = find_junctions(chimaeras(rng, 1000), BAITS, PARTNERS, RULES)
        assert call_partners(junctions, PARTNERS, RULES) == ()


def test_split_reads_give_the_breakpoint(rng):
    partner = PARTNERS[1]
    calls = call_partners(
        find_junctions(translocated(rng, partner, 40), BAITS, PARTNERS, RULES), PARTNERS, RULES
    )
    assert (calls[0].bait_position, calls[0].partner_position) == (
        105_862_000,
        (partner.start + partner.end) // 2,
    )
    assert calls[0].split_fragments > 0


def test_copies_of_one_fragment_are_one():
    reads = [bait_read(f"d{i}", 105_862_000, "chr11", 69_600_000) for i in range(20)]
    junctions = find_junctions(reads, BAITS, PARTNERS, RULES)
    assert call_partners(junctions, PARTNERS, RULES) == ()


def test_regions_are_checked(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text('[[bait]]\nname = "IGH"\nchrom = "14"\nstart = 9\nend = 5\n[[partner]]\nname = "X"\n')
    with pytest.raises(ConfigRefused, match="lacks name, chrom, start or end"):
        load_regions(path)
