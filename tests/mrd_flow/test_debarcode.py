"""Codes of events: assigned where they are clear, and never forced."""

import math

import numpy as np
import pytest

from mrd_flow.cytof.debarcode import UNASSIGNED, debarcode
from mrd_flow.cytof.panel import load_cytof_panel

BARCODES = load_cytof_panel("marrow").barcodes
CODES = np.array([[c == "1" for c in code] for code in BARCODES.key.values()])


def stained(rng, samples, bright=120.0, dim=4.0):
    signal = np.where(CODES[samples], bright, dim)
    return rng.poisson(signal * np.exp(rng.normal(0, 0.3, signal.shape))).astype(float)


def test_clear_codes_are_all_found():
    rng = np.random.default_rng(1)
    samples = rng.integers(0, 20, 4000)
    found = debarcode(stained(rng, samples), BARCODES)
    assigned = found.code != UNASSIGNED
    assert assigned.mean() > 0.97
    assert (found.code == samples)[assigned].all()


def test_a_doublet_of_two_samples_is_not_assigned():
    """Two codes have four to six positive channels together: the gap after the third is narrow."""
    rng = np.random.default_rng(2)
    one = rng.integers(0, 20, 4000)
    two = (one + rng.integers(1, 20, 4000)) % 20
    cells = stained(rng, rng.integers(0, 20, 20_000))
    found = debarcode(np.vstack([cells, stained(rng, one) + stained(rng, two)]), BARCODES)
    assert (found.code[len(cells) :] != UNASSIGNED).mean() < 0.02


def test_what_has_no_barcode_stays_unassigned():
    rng = np.random.default_rng(3)
    noise = rng.poisson(3.0, (3000, 6)).astype(float)
    found = debarcode(np.vstack([stained(rng, rng.integers(0, 20, 9000)), noise]), BARCODES)
    assert (found.code[9000:] != UNASSIGNED).mean() < 0.002


def test_codes_outside_the_key_are_unknown_and_never_the_nearest():
    """With ten of twenty codes in the key, the others' cells belong to no one."""
    rng = np.random.default_rng(4)
    half = BARCODES.model_copy(update={"key": dict(list(BARCODES.key.items())[:10])})
    samples = rng.integers(0, 20, 6000)
    found = debarcode(stained(rng, samples), half)
    assert (found.code[samples >= 10] == UNASSIGNED).mean() > 0.995
    assert (found.code[samples < 10] == samples[samples < 10]).mean() > 0.95
    assert found.unknown_code > 0.95 * (samples >= 10).sum()


def test_every_event_is_counted_once():
    rng = np.random.default_rng(5)
    found = debarcode(
        np.vstack([stained(rng, rng.integers(0, 20, 2000)), rng.gamma(1, 30, (500, 6))]), BARCODES
    )
    assigned = int((found.code != UNASSIGNED).sum())
    assert assigned + found.unknown_code + found.narrow + found.distant == 2500


def test_it_equals_its_plain_twin():
    """Zunder's steps event by event, without filter by distance."""
    rng = np.random.default_rng(6)
    plain = BARCODES.model_copy(update={"mahalanobis_most": 0.0})
    counts = np.vstack([stained(rng, rng.integers(0, 20, 600)), rng.gamma(1, 40, (200, 6))])
    found = debarcode(counts, plain)
    scaled = [[math.asinh(v / 10.0) for v in row] for row in counts]
    codes = list(plain.codes)
    closest = []
    for row in scaled:
        top = tuple(sorted(sorted(range(6), key=lambda i: -row[i])[:3]))
        closest.append(codes.index(top))
    expected = []
    for row, code in zip(scaled, closest, strict=True):
        pool = [scaled[k][i] for k, other in enumerate(closest) if other == code for i in codes[code]]
        ordered = sorted((v / np.quantile(pool, 0.95) for v in row), reverse=True)
        gap = ordered[2] - ordered[3]
        expected.append(code if gap >= found.cut.at else UNASSIGNED)
    assert found.code.tolist() == expected


def test_the_distance_takes_away_only():
    rng = np.random.default_rng(7)
    counts = np.vstack([stained(rng, rng.integers(0, 20, 3000)), rng.gamma(0.5, 100, (300, 6))])
    with_distance = debarcode(counts, BARCODES)
    without = debarcode(counts, BARCODES.model_copy(update={"mahalanobis_most": 0.0}))
    same = with_distance.code == without.code
    assert (with_distance.code[~same] == UNASSIGNED).all()
    assert with_distance.distant == int((~same).sum()) > 0


@pytest.mark.parametrize("events", [0, 1, 5])
def test_few_or_no_events_are_no_trouble(events):
    found = debarcode(np.full((events, 6), 50.0), BARCODES)
    assert (found.code == UNASSIGNED).all()
    assert len(found.code) == len(found.separation) == events


def test_order_of_events_does_not_matter():
    rng = np.random.default_rng(8)
    counts = stained(rng, rng.integers(0, 20, 1000)) + rng.uniform(0, 1, (1000, 6))
    order = rng.permutation(1000)
    assert (debarcode(counts[order], BARCODES).code == debarcode(counts, BARCODES).code[order]).all()
