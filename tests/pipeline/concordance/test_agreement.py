"""Agreement at a threshold: published tables, the IND rule, and the discordance of perfect assays."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from pipeline.concordance import (
    AgreementTable,
    LatentLevel,
    Pairs,
    Results,
    agreement,
    expected_discordance,
    indeterminate_reasons,
    pair_readings,
    patient_readings,
    tabulate,
)
from pipeline.concordance.expected import decision_counts
from pipeline.detection import Call, mean_count_for_detection, wilson

NAN = float("nan")


def results(rows) -> Results:
    """Rows of (detected or None, value, lod) or of those and (numerator, denominator)."""
    full = [(*r, NAN, NAN)[:5] for r in rows]
    return Results(
        evaluable=np.array([r[0] is not None for r in full]),
        detected=np.array([bool(r[0]) for r in full]),
        value=np.array([r[1] for r in full], dtype=float),
        lod=np.array([r[2] for r in full], dtype=float),
        numerator=np.array([r[3] for r in full], dtype=float),
        denominator=np.array([r[4] for r in full], dtype=float),
        reason=tuple("" if r[0] is not None else "no_trackable_clone" for r in full),
    )


def perfect(rng, truth, cells, k):
    """Counts of a perfect assay: Poisson draws of the true fractions."""
    lod, counts = mean_count_for_detection(k) / cells, rng.poisson(truth * cells)
    return results([(n >= k, n / cells, lod, float(n), float(cells)) for n in counts])


def estimates(rows, population="evaluable_pairs"):
    return {r.parameter: r.estimate for r in rows if r.population == population}


def test_high_agreement_with_negative_kappa_is_shown_with_both():
    """118/5/2/0: OPA 94 %, kappa -0.02; why kappa never stands alone."""
    table = AgreementTable(both_pos=118, x_only=5, y_only=2, both_neg=0)
    assert table.overall().value == pytest.approx(0.944)
    assert table.overall().ci == wilson(118, 125)
    assert table.kappa().value == pytest.approx(-0.0234, abs=5e-5)
    assert table.pabak().value == pytest.approx(0.888)
    assert table.prevalence_index() == pytest.approx(118 / 125)
    assert table.bias_index() == pytest.approx(-3 / 125)


def test_published_leukaemia_table():
    """MFC against clonoSEQ, 12/1/14/47 of 74: OPA 80 %, kappa 0.50, PPA of MFC 46 %, McNemar 0.00098."""
    table = AgreementTable(both_pos=12, x_only=1, y_only=14, both_neg=47)
    assert table.overall().value == pytest.approx(0.797, abs=5e-4)
    assert table.kappa().value == pytest.approx(0.4977, abs=5e-5)
    assert table.positive(comparator_y=True).value == pytest.approx(12 / 26)
    assert table.positive().value == pytest.approx(12 / 13)
    assert table.negative().value == pytest.approx(47 / 61)
    assert table.negative(comparator_y=True).value == pytest.approx(47 / 48)
    assert table.mcnemar() == pytest.approx(0.0009766, abs=5e-8)
    assert table.mcnemar(mid=True) == pytest.approx(0.0009766 - binom.pmf(1, 15, 0.5), abs=5e-8)


def test_kappa_and_its_interval_equal_a_worked_example():
    """Fleiss, Levin and Paik: 2 x 2 of 20/5/10/15; kappa 0.4, standard error by hand from their formula."""
    found = AgreementTable(both_pos=20, x_only=5, y_only=10, both_neg=15).kappa()
    assert found.value == pytest.approx(0.4)
    # own = .4 (1 - 1.1 * .6)^2 + .3 (1 - .9 * .6)^2, crossed = (.1 * 1.1^2 + .2 * .9^2) .36 with the
    # margins .5/.5 and .6/.4 taken crosswise, minus (.4 - .5 * .6)^2
    own = 0.4 * (1 - 1.1 * 0.6) ** 2 + 0.3 * (1 - 0.9 * 0.6) ** 2
    crossed = (0.1 * (0.6 + 0.5) ** 2 + 0.2 * (0.4 + 0.5) ** 2) * 0.6**2
    error = math.sqrt(own + crossed - (0.4 - 0.5 * 0.6) ** 2) / (0.5 * math.sqrt(50))
    assert np.diff(found.ci)[0] / 2 == pytest.approx(1.959964 * error, rel=1e-6)


def test_exact_overall_interval_is_wider_than_wilsons():
    table = AgreementTable(both_pos=40, x_only=3, y_only=2, both_neg=30)
    assert table.overall(exact=True).ci.low < table.overall().ci.low


@given(st.tuples(*[st.integers(0, 30)] * 9))
def test_every_table_gives_numbers_in_range_or_none(cells):
    table = AgreementTable(**dict(zip(AgreementTable.__slots__, cells, strict=True)))
    swapped = AgreementTable(
        both_pos=cells[0], x_only=cells[2], y_only=cells[1], both_neg=cells[3],
        pos_ind=cells[6], neg_ind=cells[7], ind_pos=cells[4], ind_neg=cells[5], ind_both=cells[8],
    )  # fmt: skip
    assert table.all == sum(cells)
    kappa = table.kappa()
    assert kappa is None or -1 <= kappa.ci.low <= kappa.value <= kappa.ci.high <= 1
    for everyone in (False, True):
        mine = table.positive(with_indeterminate=everyone)
        theirs = swapped.positive(comparator_y=True, with_indeterminate=everyone)
        assert mine == theirs
    p, mid = table.mcnemar(), table.mcnemar(mid=True)
    assert p is None or 0 <= mid <= p <= 1
    assert swapped.mcnemar() == p


@pytest.mark.parametrize(
    ("x_only", "y_only", "exact", "mid"),
    [
        (1, 7, 18 / 256, 10 / 256),  # the worked example of Fagerland 2013: .0703, .0391
        (7, 1, 18 / 256, 10 / 256),
        (2, 2, 1.0, 1 - 6 / 32),  # as many either way: half of 6/16 is given back, once
        (1, 1, 1.0, 0.75),
        (0, 0, 1.0, 1.0),
    ],
)
def test_mcnemar_of_the_published_example_and_of_equal_counts(x_only, y_only, exact, mid):
    table = AgreementTable(both_pos=1, x_only=x_only, y_only=y_only, both_neg=12)
    assert table.mcnemar() == pytest.approx(exact, rel=1e-12)
    assert table.mcnemar(mid=True) == pytest.approx(mid, rel=1e-12)


def test_mid_p_holds_its_level_by_enumeration():
    """Type I error of McNemar's mid-p over 172 pairs stays at or below 5.5 %."""
    level = dict.fromkeys((0.05, 0.1, 0.2, 0.4), 0.0)
    for n in range(111):
        lower = binom.pmf(np.arange(n // 2 + 1), n, 0.5)
        rejected = [
            AgreementTable(both_pos=9, x_only=k, y_only=n - k, both_neg=9).mcnemar(mid=True) <= 0.05
            for k in range(n // 2 + 1)
        ]
        for share in level:
            level[share] += binom.pmf(n, 172, share) * 2 * lower[rejected].sum()
    assert max(level.values()) <= 0.055, level


def test_reading_follows_value_and_limit():
    x = results(
        [(True, 1e-5, 1e-6), (True, 9e-6, 1e-6), (False, 0, 1e-5), (False, 0, 2e-5), (True, 9e-6, 2e-5),
         (True, 3e-5, 2e-5), (None, NAN, NAN)]
    )  # fmt: skip
    pairs = Pairs(patients=tuple("ABCDEFG"), x=x, y=x)
    calls = [a[0] for a, _ in pair_readings(pairs, 1e-5)]
    assert calls == ["POS", "NEG", "NEG", "IND", "IND", "POS", "IND"]
    assert {(c.reason, c.pairs) for c in indeterminate_reasons(pairs, 1e-5, ("x", "y"))} == {
        ("lod_above_threshold", 1),
        ("detected_below_threshold_but_lod_above", 1),
        ("no_trackable_clone", 1),
    }
    with pytest.raises(ValueError, match="threshold must be above 0"):
        pair_readings(pairs, 0.0)


def test_common_depth_is_the_worse_limit_of_the_pair():
    x, y = results([(False, 0, 2e-6)]), results([(True, 3e-6, 8e-6)])
    pairs = Pairs(patients=("A",), x=x, y=y)
    assert [r[0] for r in pair_readings(pairs, 1e-6)[0]] == ["IND", "POS"]
    assert [r[0] for r in pair_readings(pairs, 1e-6, common_depth=True)[0]] == ["NEG", "NEG"]


def test_one_sample_without_reading_keeps_a_patient_from_being_negative():
    pos, neg, ind = (Call.POSITIVE, "p"), (Call.NEGATIVE, "n"), (Call.INDETERMINATE, "i")
    readings = [(neg, neg), (ind, neg), (neg, neg), (ind, pos)]
    found = patient_readings(("A", "A", "B", "A"), readings)
    assert found == [(ind, pos), (neg, neg)]


@given(st.lists(st.tuples(st.sampled_from([True, False, None]), st.floats(1e-7, 1e-3), st.floats(1e-7, 1e-3)),
                min_size=2, max_size=30))  # fmt: skip
def test_indeterminate_is_never_counted_as_negative(rows):
    x, y = results(rows), results(rows[1:] + rows[:1])
    pairs = Pairs(patients=tuple(str(i // 2) for i in range(len(rows))), x=x, y=y)
    table = tabulate(pair_readings(pairs, 1e-5))

    def certain(r):
        """The limit reaches the threshold and nothing at or above it was found."""
        return r[0] is not None and r[2] <= 1e-5 and not (r[0] and r[1] >= 1e-5)

    allowed = sum(certain(a) and certain(b) for a, b in zip(rows, rows[1:] + rows[:1], strict=True))
    assert table.both_neg == allowed
    assert table.all == len(rows)
    found = agreement(pairs, 1e-5)
    everyone = estimates(found, "all_pairs")
    assert everyone["opa"] == pytest.approx((table.both_pos + table.both_neg) / len(rows))
    patients = estimates(found, "patients")
    counted = ("both_pos", "x_only", "y_only", "both_neg", "ind_pairs")
    assert sum(patients[c] for c in counted) == len(set(pairs.patients))


@pytest.mark.parametrize(("cells", "k", "stated"), [(3e6, 1, "95"), (8e6, 20, "95"), (8e6, 20, "k/n")])
def test_decision_count_is_read_from_the_limit(cells, k, stated):
    lod = (mean_count_for_detection(k) if stated == "95" else k) / cells
    counts, examined = decision_counts(results([(False, 0, lod, 0.0, cells)] * 3))
    assert list(counts) == [k] * 3
    assert examined == pytest.approx([cells] * 3)


def test_decision_count_survives_an_efficiency_below_one():
    """Sequencing that counts 30 % of the clone: the detected results say so, the others take it over."""
    lod = mean_count_for_detection(1) / (0.3 * 2e6)
    rows = [(True, 60 / (0.3 * 2e6), lod, 60.0, 2e6), (False, 0, lod, 0.0, 2e6)]
    counts, examined = decision_counts(results(rows))
    assert list(counts) == [1, 1]
    assert examined == pytest.approx([0.6e6, 0.6e6])


@pytest.mark.parametrize("threshold", [1e-5, 5e-6, 2e-6])
def test_expected_discordance_is_within_two_points_of_simulated_truth(threshold):
    """Two perfect assays of 5 million events (20) and 1.5 million cells (1), 4,000 samples."""
    rng = np.random.default_rng(12)
    truth = 10 ** rng.normal(-5, 1, 4000)
    x, y = perfect(rng, truth, 5e6, 20), perfect(rng, truth, 1.5e6, 1)
    pairs = Pairs(patients=tuple(map(str, range(4000))), x=x, y=y)
    table = tabulate(pair_readings(pairs, threshold))
    expected = expected_discordance(x, y, LatentLevel(mean=-5, sd=1), threshold)
    if table.evaluable == 0 or (table.x_only + table.y_only + table.both_neg) == 0:
        assert expected == pytest.approx(0, abs=1e-6)
    else:
        assert expected == pytest.approx(1 - table.overall().value, abs=0.02)


def test_expected_discordance_needs_denominators():
    rows = results([(True, 1e-4, 1e-6)] * 12)
    assert expected_discordance(rows, rows, LatentLevel(mean=-5, sd=1), 1e-5) is None
    found = agreement(Pairs(patients=tuple("ABCDEFGHIJKL"), x=rows, y=rows), 1e-5)
    reasons = {r.parameter: r.reason for r in found if r.population == "evaluable_pairs"}
    assert reasons["expected_discordance"] == "the seen values of a method do not vary"
    assert reasons["kappa"] == "a method has one class only"


def test_negative_counts_are_refused():
    with pytest.raises(ValueError, match="a count cannot be negative"):
        AgreementTable(both_pos=-1, x_only=0, y_only=0, both_neg=0)
