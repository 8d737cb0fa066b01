"""The exact light-chain test, its power, and when it says nothing."""

import pytest

from mrd_flow.plasma_cells.clonality import ClonalityRules, clonality_power, clonality_test


@pytest.mark.parametrize(
    ("clone", "background", "chain", "power"),
    [
        # project's field notes, one-sided alpha 1e-3, normal kappa share 0.6
        (20, 0, "kappa", 0.93),
        (50, 20, "kappa", 0.99),
        (100, 240, "kappa", 0.92),
        (20, 20, "kappa", 0.27),
        (20, 20, "lambda", 0.72),
    ],
)
def test_power_is_that_of_the_notes(clone, background, chain, power):
    assert clonality_power(clone, background, chain=chain) == pytest.approx(power, abs=0.005)


def test_power_without_a_clone_stays_below_alpha():
    for background in (5, 40, 300):
        assert clonality_power(0, background, alpha=0.01) <= 0.01


def test_p_is_fishers():
    from scipy.stats import fisher_exact

    found = clonality_test((18, 3), (600, 420), background_events=1.0)
    assert found.p == pytest.approx(fisher_exact([[18, 3], [600, 420]], alternative="greater").pvalue)
    found = clonality_test((3, 18), (600, 420), background_events=1.0)
    assert found.p == pytest.approx(fisher_exact([[3, 18], [600, 420]], alternative="less").pvalue)


@pytest.mark.parametrize(
    ("cluster", "normal", "background", "verdict"),
    [
        ((30, 1), (600, 400), 1.0, "kappa restricted"),
        ((0, 15), (600, 400), 0.0, "lambda restricted"),
        ((60, 40), (600, 400), 2.0, "not restricted"),
        ((7, 0), (600, 400), 0.0, "not assessable"),
        ((14, 9), (600, 400), 20.0, "not assessable"),  # mostly normal cells: no power
        ((0, 0), (600, 400), 0.0, "not assessable"),
        ((30, 1), (0, 0), 0.0, "not assessable"),
    ],
)
def test_verdicts(cluster, normal, background, verdict):
    assert clonality_test(cluster, normal, background_events=background).verdict == verdict


def test_few_normal_cells_weigh_on_the_p():
    many = clonality_test((20, 0), (6_000, 4_000), background_events=0.0)
    few = clonality_test((20, 0), (6, 4), background_events=0.0)
    assert few.p > 10 * many.p


def test_alpha_is_a_choice():
    strict = clonality_test((17, 2), (600, 400), background_events=0.0, rules=ClonalityRules(alpha=1e-6))
    loose = clonality_test((17, 2), (600, 400), background_events=0.0, rules=ClonalityRules(alpha=0.01))
    assert strict.verdict != "kappa restricted"
    assert loose.verdict == "kappa restricted"


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="at least 0"):
        clonality_test((-1, 3), (6, 4), background_events=0.0)
    with pytest.raises(ValueError, match="at least 0"):
        clonality_power(-1, 0)
    with pytest.raises(ValueError, match="alpha"):
        ClonalityRules(alpha=0.0)
