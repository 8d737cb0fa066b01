"""Intervals where patients come back: closed forms where pairs are independent, coverage where not."""

import numpy as np
import pytest

from pipeline.concordance.clustered import clustered_kappa, clustered_share
from pipeline.concordance.difference import bland_altman, bland_altman_repeated
from pipeline.concordance.table import AgreementTable
from pipeline.detection import Call, wilson

POS, NEG, IND = ((c, "") for c in (Call.POSITIVE, Call.NEGATIVE, Call.INDETERMINATE))


def test_independent_pairs_come_near_wilsons_interval():
    rng = np.random.default_rng(1)
    agreeing = rng.random(600) < 0.9
    found = clustered_share(agreeing, [f"P{i // 3}" for i in range(600)])
    plain = wilson(int(agreeing.sum()), 600)
    assert found.value == agreeing.mean()
    assert found.ci == pytest.approx(tuple(plain), abs=0.01)


def test_pairs_of_a_patient_that_are_all_alike_count_once():
    agreeing = np.repeat([True] * 90 + [False] * 10, 5)
    found = clustered_share(agreeing, [f"P{i // 5}" for i in range(500)])
    assert found.ci == pytest.approx(tuple(wilson(90, 100)), abs=0.003)


@pytest.mark.slow
def test_share_covers_where_patients_differ():
    """2,000 cohorts of 60 patients with up to five visits and very different patients."""
    rng, held, plain = np.random.default_rng(2), 0, 0
    for _ in range(2000):
        share = rng.beta(8, 2, 60)  # mean .8
        visits = rng.integers(1, 6, 60)
        patients = np.repeat(np.arange(60), visits)
        agreeing = rng.random(len(patients)) < share[patients]
        # sizes do not go with the shares, so .8 is the truth
        low, high = clustered_share(agreeing, [f"P{i}" for i in patients]).ci
        held += low <= 0.8 <= high
        low, high = wilson(int(agreeing.sum()), len(agreeing))
        plain += low <= 0.8 <= high
    assert 0.935 <= held / 2000 <= 0.965
    assert plain / 2000 < held / 2000


def test_kappa_is_that_of_the_table_and_ignores_indeterminate_pairs():
    readings = [(POS, POS)] * 40 + [(POS, NEG)] * 6 + [(NEG, POS)] * 4 + [(NEG, NEG)] * 50 + [(IND, POS)] * 9
    patients = [f"P{i % 30}" for i in range(len(readings))]
    found = clustered_kappa(readings, patients)
    table = AgreementTable(both_pos=40, x_only=6, y_only=4, both_neg=50)
    assert found.value == pytest.approx(table.kappa().value)
    assert found.pairs == 100
    assert found.ci.low < found.value < found.ci.high
    assert clustered_kappa(readings, patients) == found


def test_few_patients_and_one_class_are_said():
    with pytest.raises(ValueError, match="3 patients are too few"):
        clustered_share(np.ones(9, bool), ["A", "B", "C"] * 3)
    patients = [f"P{i}" for i in range(20)]
    with pytest.raises(ValueError, match="a method has one class only"):
        clustered_kappa([(POS, POS)] * 20, patients)
    with pytest.raises(ValueError, match="in many draws"):
        clustered_kappa([(POS, POS)] * 19 + [(NEG, NEG)], patients)


def _visits(rng, patients=60, between=0.3, within=0.2):
    sizes = rng.integers(1, 6, patients)
    names = np.repeat(np.arange(patients), sizes)
    d = 0.1 + rng.normal(0, between, patients)[names] + rng.normal(0, within, len(names))
    x = rng.normal(-4, 1, len(names))
    return x, x + d, [f"P{i}" for i in names]


def test_repeated_limits_with_one_visit_each_but_one_are_the_plain_ones():
    rng = np.random.default_rng(3)
    x = rng.normal(-4, 1, 41)
    y = x + rng.normal(0, 0.2, 41)
    x[40], y[40] = x[39], y[39]  # the last patient's second visit repeats the first
    repeated = bland_altman_repeated(x, y, [*(f"P{i}" for i in range(40)), "P39"])
    plain = bland_altman(x[:40], y[:40])
    assert repeated.bias.value == pytest.approx(plain.bias.value)
    assert repeated.sd.value == pytest.approx(plain.sd.value, rel=1e-6)


@pytest.mark.slow
def test_repeated_limits_cover_their_truth_where_plain_ones_do_not():
    """2,000 cohorts: bias and limits over patients; plain intervals take visits for patients."""
    rng = np.random.default_rng(4)
    sd = np.hypot(0.3, 0.2)
    truth = {"bias": 0.1, "sd": sd, "limit_low": 0.1 - 1.959964 * sd, "limit_high": 0.1 + 1.959964 * sd}
    held, plain = dict.fromkeys(truth, 0), 0
    for _ in range(2000):
        x, y, patients = _visits(rng)
        found = bland_altman_repeated(x, y, patients)
        for name, value in truth.items():
            held[name] += getattr(found, name).ci.low <= value <= getattr(found, name).ci.high
        low, high = bland_altman(x, y).bias.ci
        plain += low <= 0.1 <= high
    assert all(0.935 <= h / 2000 <= 0.965 for h in held.values()), held
    assert plain / 2000 < 0.9


def test_repeated_limits_say_when_nobody_comes_back():
    x, y, _ = _visits(np.random.default_rng(5))
    with pytest.raises(ValueError, match="no patient gives more than one pair"):
        bland_altman_repeated(x, y, [f"P{i}" for i in range(len(x))])
    with pytest.raises(ValueError, match="2 patients are too few"):
        bland_altman_repeated(x, y, ["A", "B"] * (len(x) // 2) + ["A"] * (len(x) % 2))
