"""The caller on molecules made by hand, and its promises kept in simulation."""

import numpy as np
import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.variants.calling.background import Background, SiteErrors
from pipeline.variants.calling.caller import call_windows
from pipeline.variants.calling.contexts import surroundings
from pipeline.variants.calling.scoring import Rates, limits_of, p_values, score_weights
from pipeline.variants.calling.settings import CallSettings
from pipeline.variants.calling.vcf_records import header_lines, record_line
from pipeline.variants.evidence import Allele, ObservationFlag
from pipeline.variants.reference import Reference
from site_evidence import molecules_with, window
from small_gene import write_fasta

START, END = 100, 400
DEPTH = (300, 300, 350, 350, 1500)
RATES = (1e-4, 2e-5, 2e-7)
BASES = ("GATTACAGCATGCCTAGA" * 30)[:200] + "C" + "A" * 8 + "G" + ("TGACCATGGATC" * 30)[:400]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    with Reference(write_fasta(tmp_path_factory.mktemp("ref") / "r.fa", {"one": BASES})) as opened:
        yield opened


def background(rates=RATES, *, shape=50.0, sites=None, has_umis=True):
    indel = np.tile(np.array(rates) / 20, (6, 21, 1))
    indel[:2, 8] = (2e-2, 2e-2, 2e-3)
    return Background(
        substitution=np.tile(np.array(rates), (64, 4, 1)),
        indel=indel,
        shape=shape,
        sites=sites or SiteErrors(),
        samples=2,
        has_umis=has_umis,
    )


def calls(reference, molecules, *, asked=(), depth=DEPTH, errors=None, low_mapping=0, **choices):
    evidence = window(BASES[START:END], START, depth, molecules, low_mapping=low_mapping)
    found = call_windows(
        [evidence],
        reference,
        errors or background(),
        CallSettings(**choices),
        asked={"one": list(asked)},
    )
    (only,) = found
    return only


def other(position):
    ref = BASES[position]
    return Allele(position=position, ref=ref, alt={"A": "C", "C": "A", "G": "C", "T": "G"}[ref])


def only_call(found):
    (call,) = found.calls
    return call


def test_two_duplex_molecules_are_called_one_is_not(reference):
    two = only_call(calls(reference, molecules_with(other(150), 2)))
    assert two.reasons == ()
    assert two.kind == "snv"
    assert (two.alt_depth(), two.alt_depth((4,)), two.depth()) == (2, 2, 2800)
    one = calls(reference, molecules_with(other(150), 1), candidate_p=1e-2)
    assert "few_molecules" in only_call(one).reasons


def test_single_reads_need_more_molecules_than_duplex(reference):
    called = {}
    for strand_class in (0, 2, 4):
        for count in range(1, 12):
            molecules = molecules_with(other(150), count // 2, strand_class=strand_class)
            molecules += molecules_with(other(150), count - count // 2, strand_class=min(4, strand_class + 1))
            found = calls(reference, molecules).calls
            if found and not found[0].reasons:
                called[strand_class] = count
                break
    assert called[4] == 2 < called[2] < called[0]


def test_a_call_carries_interval_limit_and_error(reference):
    call = only_call(calls(reference, molecules_with(other(150), 28)))
    assert call.vaf == pytest.approx(0.01)
    assert call.interval.low < 0.01 < call.interval.high
    assert 5e-4 < call.lod < 4e-3
    mean = (600 * 1e-4 + 700 * 2e-5 + 1500 * 2e-7) / 2800
    assert call.error_rate == pytest.approx(mean, rel=1e-6)
    assert call.genotype == "0/1"
    homozygous = only_call(calls(reference, molecules_with(other(150), 1500)))
    assert homozygous.interval.low < 0.75
    assert homozygous.genotype == "0/1"


def test_neighbours_that_the_same_molecules_have_are_one_record(reference):
    pair = [other(150), other(151)]
    together = only_call(calls(reference, molecules_with(pair, 5)))
    assert together.allele == Allele(position=150, ref=BASES[150:152], alt=pair[0].alt + pair[1].alt)
    assert together.kind == "mnv"
    apart = calls(reference, [*molecules_with(pair[0], 5), *molecules_with(pair[1], 5)])
    assert [c.kind for c in apart.calls] == ["snv", "snv"]
    gap = only_call(calls(reference, molecules_with([other(150), other(152)], 5)))
    assert gap.allele.ref == BASES[150:153]
    assert gap.allele.alt[1] == BASES[151]


def test_a_deletion_in_a_run_joins_the_substitution_at_the_runs_other_end(reference):
    """An aligner puts the lost base at the left end; AA>G at the right end comes as two differences."""
    run = 200  # the C before eight A
    loss = Allele(position=run, ref="CA", alt="C")
    change = Allele(position=run + 8, ref="A", alt="G")
    found = only_call(calls(reference, molecules_with([loss, change], 6)))
    assert (found.allele.position, found.allele.ref, found.allele.alt) == (run + 7, "AA", "G")
    assert found.kind == "complex"
    assert found.reasons == ()


def test_a_deletion_whose_leftmost_place_is_under_a_substitution_moves_behind_it(reference):
    """AAAAA>TC in a run of eight: the deletion is written at the run's left end, the bases it spares too."""
    loss = Allele(position=200, ref="CAAA", alt="C")
    changes = [Allele(position=201, ref="A", alt="T"), Allele(position=202, ref="A", alt="G")]
    found = only_call(calls(reference, molecules_with([loss, *changes], 6)))
    assert (found.allele.position, found.allele.ref, found.allele.alt) == (201, "AAAAA", "TG")


def test_an_insertion_joins_the_substitution_of_its_own_anchor(reference):
    insertion = Allele(position=150, ref=BASES[150], alt=BASES[150] + "GG")
    found = only_call(calls(reference, molecules_with([insertion, other(150)], 6)))
    assert (found.allele.ref, found.allele.alt) == (BASES[150], other(150).alt + "GG")


def test_slippage_of_a_run_is_told_from_a_variant(reference):
    loss = Allele(position=200, ref="CA", alt="C")
    slips = molecules_with(loss, 12, strand_class=2) + molecules_with(loss, 14, strand_class=3)
    found = calls(reference, slips, candidate_p=1.0).calls
    assert found[0].reasons == ("slippage",)
    real = slips + molecules_with(loss, 150)  # 5 %, where 1 % slip
    assert only_call(calls(reference, real)).reasons == ()


@pytest.mark.parametrize(
    ("reason", "fields", "options"),
    [
        ("fragment_end", {"end_distance": 3}, {}),
        ("mapping", {"mapping_quality": 12}, {}),
        ("mapping", {}, {"low_mapping": 20_000}),
        ("clustered", {"mismatches": 5}, {}),
        ("near_indel", {"flags": int(ObservationFlag.NEAR_INDEL)}, {}),
        ("clipped", {"flags": int(ObservationFlag.CLIPPED)}, {}),
        ("one_strand", {"strand_class": 2}, {}),
    ],
)
def test_rejected_candidates_keep_their_reason(reference, reason, fields, options):
    found = only_call(calls(reference, molecules_with(other(150), 9, **fields), **options))
    assert reason in found.reasons
    assert set(found.reasons) <= {reason, "background"}
    assert found.genotype == "0/1"


def test_damage_is_a_reason_only_on_its_own_strand(reference):
    position = next(p for p in range(150, 180) if BASES[p] == "G")
    oxidised = Allele(position=position, ref="G", alt="T")
    on_its_strand = only_call(calls(reference, molecules_with(oxidised, 6, strand_class=2)))
    assert "damage" in on_its_strand.reasons
    on_the_other = only_call(calls(reference, molecules_with(oxidised, 6, strand_class=3)))
    assert "damage" not in on_the_other.reasons
    duplex = only_call(calls(reference, molecules_with(oxidised, 6)))
    assert duplex.reasons == ()


def test_sites_that_were_asked_for_get_a_record_with_their_limit(reference):
    absent, present, deletion = (
        other(150),
        other(160),
        Allele(position=300, ref=BASES[300:303], alt=BASES[300]),
    )
    found = calls(reference, molecules_with(present, 10), asked=[absent, present, deletion]).calls
    assert [(c.allele, c.genotype, c.reasons) for c in found] == [
        (absent, "0/0", ("not_detected",)),
        (present, "0/1", ()),
        (deletion, "0/0", ("not_detected",)),
    ]
    assert all(c.lod < 0.01 for c in found)
    uncovered = calls(reference, [], asked=[absent], depth=(0, 0, 0, 0, 0)).calls[0]
    assert (uncovered.genotype, uncovered.reasons, uncovered.lod) == ("./.", ("no_coverage",), None)
    one = calls(reference, molecules_with(absent, 1), asked=[absent]).calls[0]
    assert (one.genotype, one.alt_depth()) == ("0/0", 1)


def test_what_controls_showed_at_a_site_counts_there(reference):
    allele = other(150)
    molecules = {("one", p): (12_000.0, 14_000.0, 30_000.0) for p in range(START, END)}
    noisy = SiteErrors(
        molecules=molecules, spanning=molecules, errors={("one", 150, allele.ref, allele.alt): 200}
    )
    evidence = molecules_with(allele, 2, strand_class=2) + molecules_with(allele, 2, strand_class=3)
    assert only_call(calls(reference, evidence)).reasons == ()
    found = calls(reference, evidence, errors=background(sites=noisy, shape=4.0), candidate_p=1.0)
    assert "background" in only_call(found).reasons


def test_every_site_has_a_limit_or_none_with_no_molecules(reference):
    found = calls(reference, [])
    assert np.isfinite(found.limits).all()
    assert (found.limits > 2 / 2800).all()
    nothing = calls(reference, [], depth=(0, 0, 0, 0, 1))
    assert np.isnan(nothing.limits).all()


def rates_for(rows, rng, *, shape=50.0):
    depth = rng.integers(50, 3000, (rows, 1)) * np.array([[0.1, 0.1, 0.15, 0.15, 0.5]])
    errors = np.array([[1e-4, 1.5e-4, 2e-5, 4e-5, 5e-7]]) * rng.uniform(0.3, 3, (rows, 1))
    zero = np.zeros(rows)
    return Rates(
        molecules=np.rint(depth), errors=errors, seen=zero, expected=zero, shape=np.full(rows, shape)
    )


def test_p_values_are_the_share_of_error_alone_that_scores_as_high():
    """Against direct simulation of Poisson counts with gamma factors (plain twin of the recursion)."""
    rng = np.random.default_rng(6)
    rates = rates_for(4, rng, shape=3.0)
    weights = score_weights(rates)
    for counts in ([1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 1, 0], [2, 1, 0, 0, 0]):
        seen = np.tile(np.array(counts), (4, 1))
        computed = p_values(rates, seen)
        for row in range(4):
            factors = rng.gamma(3.0, 1 / 3.0, 200_000)
            means = rates.molecules[row] * rates.errors[row]
            drawn = rng.poisson(factors[:, None] * means)
            share = (drawn @ weights[row] >= seen[row] @ weights[row]).mean()
            assert abs(computed[row] - share) < 4.5 * (computed[row] / 200_000) ** 0.5 + 1e-5


def test_false_calls_are_no_more_frequent_than_asked_for():
    """Errors alone: Poisson counts at 400,000 alleles, tested at 1e-3 so that there is something to count."""
    rng = np.random.default_rng(7)
    few = rates_for(200, rng)
    alpha = 1e-3
    called = 0
    for _ in range(400):
        factor = rng.gamma(50.0, 1 / 50.0, (200, 1))
        counts = rng.poisson(few.molecules * few.errors * factor)
        some = np.flatnonzero(counts.sum(axis=1) > 0)
        part = Rates(
            molecules=few.molecules[some], errors=few.errors[some], seen=few.seen[some],
            expected=few.expected[some], shape=few.shape[some],
        )  # fmt: skip
        called += int((p_values(part, counts[some]) <= alpha).sum())
    assert called <= alpha * 80_000 + 4 * (alpha * 80_000) ** 0.5


def test_a_variant_at_its_limit_is_called_in_95_of_100():
    rng = np.random.default_rng(8)
    rates = rates_for(30, rng)
    alpha = 1e-7
    limits = limits_of(rates, alpha=alpha)
    assert np.isfinite(limits).all()
    called = total = 0
    for _ in range(100):
        counts = rng.poisson(rates.molecules * (limits[:, None] + rates.errors))
        called += int(((p_values(rates, counts) <= alpha) & (counts.sum(axis=1) >= 2)).sum())
        total += 30
    assert 0.93 <= called / total <= 0.985  # whole molecules: the limit may lie a little above


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_more_molecules_never_raise_a_limit_much(seed):
    """A step of the decision count may raise it, by less than one molecule's worth of the depth."""
    rng = np.random.default_rng(seed)
    rates = rates_for(3, rng)
    deeper = Rates(
        molecules=2 * rates.molecules, errors=rates.errors, seen=rates.seen, expected=rates.expected,
        shape=rates.shape,
    )  # fmt: skip
    one, other_limit = (limits_of(r, alpha=1e-7) for r in (rates, deeper))
    assert (other_limit < one).all()


def test_weights_grow_as_errors_fall():
    rng = np.random.default_rng(2)
    weights = score_weights(rates_for(50, rng))
    assert (weights[:, 4] > weights[:, 2]).all()
    assert (weights[:, 2] > weights[:, 0]).all()


def test_the_file_is_valid_vcf_and_says_what_was_called(reference, tmp_path):
    pair = [other(150), other(151)]
    deletion = Allele(position=300, ref=BASES[300:303], alt=BASES[300])
    molecules = (
        molecules_with(pair, 5) + molecules_with(deletion, 40) + molecules_with(other(250), 9, strand_class=2)
    )
    found = calls(reference, molecules, asked=[other(330)]).calls
    path = tmp_path / "x.vcf"
    lines = [*header_lines(reference, ["one"], "S1"), *map(record_line, found)]
    path.write_text("\n".join(lines) + "\n")
    assert lines[0] == "##fileformat=VCFv4.4"
    with pysam.VariantFile(str(path)) as file:
        assert file.header.contigs["one"].length == len(BASES)
        records = list(file)
    by_kind = {(r.info["KIND"], tuple(r.filter)): r for r in records}
    assert set(by_kind) == {
        ("mnv", ("PASS",)),
        ("snv", ("one_strand",)),
        ("deletion", ("PASS",)),
        ("snv", ("not_detected",)),
    }
    sample = by_kind["deletion", ("PASS",)].samples["S1"]
    assert sample["AD"] == (2760, 40)
    assert sample["DUP"] == 40
    assert sample["VAF"] == pytest.approx(40 / 2800, rel=1e-4)
    assert sample["VAF_LOW"] < sample["VAF"] < sample["VAF_HIGH"]
    assert by_kind["snv", ("not_detected",)].samples["S1"]["LOD"] > 0
    for name in ("KIND", "ERR", "PVALUE", "LLR"):
        assert all(name in r.info for r in records)


def test_contexts_at_the_edge_of_a_contig_do_not_stop_the_caller(reference):
    evidence = window(BASES[:20], 0, DEPTH, molecules_with(other(0), 5))
    (found,) = call_windows([evidence], reference, background(), CallSettings())
    assert only_call(found).context == "N"
    assert surroundings(reference, "one", 0, 20).context[0] == -1


@pytest.mark.parametrize("wrong", [{"false_calls_per_mb": 0}, {"min_molecules": 0}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(UsageError, match=r"false calls per Mb|at least one molecule"):
        CallSettings(**wrong)
