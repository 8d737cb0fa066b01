"""UMIs, mates, broken DNA and further rearrangements: the reads hold what the truth states."""

import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mrd_ngs.annotate import annotate_sequences
from mrd_ngs.evidence import reverse_complement
from mrd_ngs.germline import load_germline
from mrd_ngs.simulate import (
    KINDS,
    LibraryDesign,
    SimulatedLibrary,
    simulate_clone,
    simulate_library,
    simulate_rearrangement,
    simulate_spike_ins,
    write_series,
)
from mrd_ngs.simulate_reads import ReadLayout


def simulated(seed: int = 1, **design) -> SimulatedLibrary:
    rng = np.random.default_rng(seed)
    germline = load_germline()
    clone, spike_ins = simulate_clone(rng, germline), simulate_spike_ins(rng, germline, copies=10)
    fields = {"cells": 5_000, "clone_cells": 100, "b_cells": 100, "reads": 1_000, **design}
    others = {k: simulate_rearrangement(rng, germline, kind=k) for k in fields.get("kinds", ()) if k != "IGH"}
    return simulate_library(LibraryDesign(**fields), clone, spike_ins, germline, rng, name="L", others=others)


def records(fastq_gz: bytes) -> list[tuple[bytes, bytes, bytes]]:
    lines = gzip.decompress(fastq_gz).split(b"\n")
    return list(zip(lines[0::4], lines[1::4], lines[3::4], strict=False))


@pytest.mark.parametrize(
    "options",
    [
        {"umi_nt": 12}, {"umi_nt": 12, "umi_in": "first"}, {"mates_nt": 150}, {"fragment_mean_nt": 300.0},
        {"kinds": KINDS},
    ],
    ids=["umi_name", "umi_first", "mates", "broken", "kinds"],
)  # fmt: skip
def test_same_seed_same_bytes_with_every_option(options: dict) -> None:
    one, other = simulated(**options), simulated(**options)
    assert one == other
    assert simulated(seed=2, **options).fastq_gz != one.fastq_gz


def test_umi_in_the_name_is_one_a_template() -> None:
    library = simulated(umi_nt=12, error_rate=0.0)
    reads = records(library.fastq_gz)
    families = Counter((name.rsplit(b":", 1)[1], sequence) for name, sequence, _ in reads)
    assert all(len(umi) == 12 and not set(umi) - set(b"ACGT") for umi, _ in families)
    assert {len(sequence) for _, sequence, _ in reads} == {230}
    # without errors a family is a template: 12 bases, 290 templates, no collision expected
    assert len(families) == sum(library.truth["sequenced_templates_by_origin"].values())
    assert library.truth["sequenced_templates_by_origin"]["clone"] <= 100


def test_inline_umi_stands_before_the_insert() -> None:
    named, inline = simulated(umi_nt=8, error_rate=0.0), simulated(umi_nt=8, umi_in="first", error_rate=0.0)
    in_name = Counter(n.rsplit(b":", 1)[1] + s for n, s, _ in records(named.fastq_gz))
    assert in_name == Counter(s for _, s, _ in records(inline.fastq_gz))
    assert not any(name.count(b":") > 1 for name, _, _ in records(inline.fastq_gz))


def test_mates_read_the_insert_from_both_ends() -> None:
    library = simulated(mates_nt=150, error_rate=0.0)
    assert library.mates_gz is not None
    first, second = records(library.fastq_gz), records(library.mates_gz)
    assert [name for name, _, _ in first] == [name for name, _, _ in second]
    assert {len(s) for _, s, _ in (*first, *second)} == {150}
    for (_, one, _), (_, other, _) in zip(first, second, strict=True):
        assert one[80:] == reverse_complement(other)[:70]  # 150 + 150 - 230 bases in both


def test_mates_err_as_often_as_their_falling_qualities_say() -> None:
    true, read = (simulated(mates_nt=150, reads=4_000, error_rate=e) for e in (0.0, 0.003))
    assert read.mates_gz is not None
    qualities = [
        np.frombuffer(records(f)[0][2], dtype=np.uint8) - 33.0 for f in (read.fastq_gz, read.mates_gz)
    ]
    assert all((np.diff(q) <= 0).all() for q in qualities)
    assert [(int(q[0]), int(q[-1])) for q in qualities] == [(25, 15), (25, 11)]
    for clean, file, phred in zip(
        (true.fastq_gz, true.mates_gz), (read.fastq_gz, read.mates_gz), qualities, strict=True
    ):
        assert clean is not None
        wrong = np.zeros(150)
        for (_, a, _), (_, b, _) in zip(records(clean), records(file), strict=True):
            wrong += np.frombuffer(a, dtype=np.uint8) != np.frombuffer(b, dtype=np.uint8)
        expected = 4_000 * 10 ** (-phred / 10.0)
        assert wrong.sum() == pytest.approx(expected.sum(), rel=0.05)  # thousands of errors: sd 1 to 2 %
        assert wrong[100:].sum() == pytest.approx(expected[100:].sum(), rel=0.07)


def test_broken_dna_loses_templates_by_their_length_and_never_spike_ins() -> None:
    library = simulated(fragment_mean_nt=300.0, clone_cells=2_000, cells=20_000, kinds=("IGH", "DJ"))
    before, after = (library.truth[k] for k in ("templates_by_origin", "whole_templates_by_origin"))
    assert after["spike_in"] == before["spike_in"] == 90
    # some 355 nt of VDJ: exp(-355 / 300) = 0.31; some 115 nt of DJ: 0.68
    assert after["clone"] / before["clone"] == pytest.approx(0.31, abs=0.05)
    assert after["clone_DJ"] / before["clone_DJ"] == pytest.approx(0.68, abs=0.06)
    assert sum(library.truth["reads_by_origin"].values()) == 1_000


@pytest.mark.parametrize("kind", KINDS)
def test_clone_of_each_kind_is_annotated_as_what_it_is(kind: str) -> None:
    germline = load_germline()
    rng = np.random.default_rng(3)
    clones = [simulate_rearrangement(rng, germline, kind=kind, mutation_rate=0.0) for _ in range(12)]
    found = annotate_sequences([c.sequence.decode()[-230:] for c in clones], germline)
    expected = {"IGH": "VDJ", "IGK": "VJ", "IGL": "VJ"}.get(kind, kind)
    kinds = [None if f is None else f.kind for f in found]
    assert kinds.count(expected) >= 11, kinds
    for clone, one in zip(clones, found, strict=True):
        if one is not None and one.kind == expected and clone.junction:
            assert one.junction == clone.junction.decode()


def test_series_with_every_option_states_the_truth_beside_it(tmp_path: Path) -> None:
    truth = write_series(
        tmp_path, seed=4, fractions=(1e-3,), reads=400, cells=50_000, b_cells=40, spike_copies=10,
        read_length=200, kinds=KINDS, fragment_mean_nt=2_000.0, mates_nt=120, umi_nt=10, umi_in="first",
    )  # fmt: skip
    assert json.loads((tmp_path / "truth.json").read_text()) == truth
    assert sorted(p.name for p in tmp_path.glob("mrd*")) == ["mrd_1e-3_R1.fastq.gz", "mrd_1e-3_R2.fastq.gz"]
    assert set(truth["further_rearrangements"]) == set(KINDS) - {"IGH"}
    baseline = truth["libraries"]["baseline"]["reads_by_origin"]
    assert baseline["clone_IGK"] > 0
    assert sum(baseline.values()) == 400


def test_what_no_read_can_be_is_refused() -> None:
    with pytest.raises(ValueError, match="umi_in must be name, first or both"):
        ReadLayout(umi_nt=8, umi_in="tail")
    with pytest.raises(ValueError, match="umi_in both needs mates"):
        ReadLayout(umi_nt=8, umi_in="both")
    with pytest.raises(ValueError, match="mates_nt must be at least 50"):
        LibraryDesign(cells=10, clone_cells=1, b_cells=1, mates_nt=20)
    with pytest.raises(ValueError, match="kinds must hold IGH"):
        LibraryDesign(cells=10, clone_cells=1, b_cells=1, kinds=("IGK",))
    with pytest.raises(ValueError, match="fragment_mean_nt cannot be negative"):
        LibraryDesign(cells=10, clone_cells=1, b_cells=1, fragment_mean_nt=-1.0)
    with pytest.raises(ValueError, match="no template is whole"):
        _only_broken()


def _only_broken() -> SimulatedLibrary:
    rng = np.random.default_rng(1)
    germline = load_germline()
    design = LibraryDesign(cells=10, clone_cells=5, b_cells=0, reads=10, fragment_mean_nt=1.0)
    return simulate_library(design, simulate_clone(rng, germline), (), germline, rng, name="L")
