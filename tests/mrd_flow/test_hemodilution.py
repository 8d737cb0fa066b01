"""Blood in the marrow: the verdict falls with it, and the corrected value gives it back."""

import numpy as np
import pytest

from mrd_flow.hemodilution import DilutionRules, DilutionVerdict, MarrowCells, assess_dilution, undiluted

REFERENCES = {"mast_cells": 2e-4, "b_precursors": 0.015, "nucleated_red_cells": 0.12}
RULES = DilutionRules()
ORDER = [DilutionVerdict.ADEQUATE, DilutionVerdict.SUSPECTED, DilutionVerdict.DILUTED]


def marrow(blood_share, examined=1_000_000, rng=None, **depleted):
    """Counts of a marrow with a share of blood; one population may be depleted by a factor."""
    found = []
    for gate, reference in REFERENCES.items():
        mean = examined * reference * (1 - blood_share) * depleted.get(gate, 1.0)
        count = round(mean) if rng is None else int(rng.poisson(mean))
        found.append(MarrowCells(gate=gate, count=count, examined=examined, reference=reference))
    return found


def test_the_verdict_falls_with_the_share_of_blood(rng):
    for _ in range(50):
        found = [assess_dilution(marrow(s, rng=rng), RULES) for s in (0.0, 0.25, 0.5, 0.75)]
        assert [f.verdict for f in found] == [ORDER[0], ORDER[1], ORDER[2], ORDER[2]]
        shares = [f.marrow_share for f in found]
        assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize("blood_share", [0.25, 0.5, 0.75])
def test_the_corrected_value_gives_the_dilution_back(blood_share):
    found = assess_dilution(marrow(blood_share), RULES)
    assert found.factor == pytest.approx(1 / (1 - blood_share), rel=1e-9)
    assert undiluted(1e-5 * (1 - blood_share), found) == pytest.approx(1e-5, rel=1e-9)


def test_one_population_lost_to_treatment_does_not_decide():
    assert assess_dilution(marrow(0.0, b_precursors=0.0), RULES).verdict is DilutionVerdict.ADEQUATE
    assert assess_dilution(marrow(0.75, b_precursors=8.0), RULES).verdict is DilutionVerdict.DILUTED


def test_more_marrow_cells_than_the_reference_do_not_correct_downwards():
    found = assess_dilution(marrow(-0.5), RULES)
    assert (found.marrow_share, found.factor, undiluted(1e-5, found)) == (1.0, 1.0, 1e-5)


def test_pure_blood_is_diluted_and_offers_no_number():
    found = assess_dilution(marrow(1.0), RULES)
    assert (found.verdict, found.marrow_share, found.factor) == (DilutionVerdict.DILUTED, 0.0, None)
    assert found.share_high > 0
    assert undiluted(1e-5, found) is None


@pytest.mark.parametrize(
    ("populations", "material", "why"),
    [
        ([], "bone_marrow", "names no gate of marrow cells"),
        (marrow(0.0, examined=100), "bone_marrow", "100 nucleated cells are too few"),
        (marrow(0.0), "peripheral_blood", "not bone marrow"),
    ],
)
def test_what_cannot_be_judged_says_why(populations, material, why):
    found = assess_dilution(populations, RULES, material=material)
    assert (found.verdict, found.factor) == (DilutionVerdict.NOT_ASSESSABLE, None)
    assert why in found.reason


def test_the_limits_of_the_share_cover_it(rng):
    truth = 0.5
    found = [assess_dilution(marrow(truth, examined=200_000, rng=rng), RULES) for _ in range(400)]
    covered = np.mean([f.share_low <= truth <= f.share_high for f in found])
    assert covered >= 0.95


def test_impossible_numbers_are_refused():
    with pytest.raises(ValueError, match="need 0 <= count <= examined"):
        MarrowCells(gate="x", count=2, examined=1, reference=0.1)
    with pytest.raises(ValueError, match="diluted_below <= suspected_below"):
        DilutionRules(suspected_below=0.2, diluted_below=0.5)
