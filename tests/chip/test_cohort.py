"""CHIP against outcomes: exact numbers, undecided patients in no group, pictures with all that is known."""

import numpy as np
import pytest

from chip.association import associate, benjamini_hochberg, cumulative_incidence, exact_odds_ratio
from chip.cohort import decided_by_patient, exposures, read_outcomes, write_associations, write_incidence
from chip.pictures import Mark, lollipop, oncoprint
from chip.series_tables import CalledVariant, SampleTable
from pipeline.errors import InputRefused, SheetRefused
from pipeline.report.figure_style import house_style, image_of


def table(tmp_path, patient, call, *variants, limits=None):
    from datetime import date

    return SampleTable(
        path=tmp_path / f"{patient}.tsv",
        patient_id=patient,
        timepoint="PBSC",
        collected_on=date(2026, 1, 1),
        at_threshold=call,
        variants=variants,
        limits={"DNMT3A": 0.01, "TET2": 0.01} if limits is None else limits,
    )


def called(gene="DNMT3A", change="R882H", verdict="IN", at="POS"):
    return CalledVariant(
        gene=gene, change=change, verdict=verdict, at_threshold=at, vaf=0.05, depth=1000, alt=50
    )


def test_the_exact_odds_ratio_is_fishers_of_the_tea_lady():
    """[[3, 1], [1, 3]]: by hand, with weights 1, 16, 36, 16, 1 of 0 to 4 right cups times odds^cups."""
    odds, low, high, p = exact_odds_ratio(3, 1, 1, 3)

    def shares(psi):
        weights = np.array([1, 16, 36, 16, 1]) * psi ** np.arange(5)
        return weights / weights.sum()

    assert shares(odds) @ np.arange(5) == pytest.approx(3, abs=1e-4)
    assert shares(low)[3:].sum() == pytest.approx(0.025, abs=1e-5)
    assert shares(high)[:4].sum() == pytest.approx(0.025, abs=1e-5)
    assert p == pytest.approx(34 / 70)


def test_an_empty_cell_gives_an_open_interval_and_no_infinity():
    odds, low, high, _ = exact_odds_ratio(5, 0, 3, 4)
    assert (odds, high) == (None, None)
    assert low > 0


def test_false_discovery_rates_are_those_of_benjamini_and_hochberg():
    """R: p.adjust(c(.01, .04, .03, .5), "BH")."""
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])


def test_where_nothing_is_true_few_discoveries_are_made():
    """4,000 families of eight uniform p-values: any q <= 0.05 in 5 % of them."""
    rng = np.random.default_rng(5)
    hits = np.mean([min(benjamini_hochberg(list(rng.random(8)))) <= 0.05 for _ in range(4000)])
    assert 0.04 <= hits <= 0.06


def test_undecided_patients_and_unknown_outcomes_are_counted_and_in_no_group():
    exposed = {"CH": {"a": True, "b": False, "c": None, "d": True}}
    (found,) = associate(exposed, {"cr": {"a": True, "b": False, "c": True, "d": None}})
    assert (found.exposed, found.others, found.undecided, found.unknown) == (1, 1, 1, 1)
    assert (found.risk_exposed, found.risk_others) == (1.0, 0.0)


def test_an_empty_group_has_a_reason_and_no_numbers():
    (found,) = associate({"CH": {"a": False}}, {"cr": {"a": True}})
    assert (found.reason, found.p_exact, found.q) == ("a group is empty", None, None)


def test_incidence_with_competing_events_is_that_of_aalen_and_johansen():
    """By hand: 4 at risk, event 1 at 1, event 2 at 2, event 1 at 3: 1/4, 1/4, 1/4 + 1/2 * 1/2."""
    follow_up = {"a": (1.0, 1), "b": (2.0, 2), "c": (3.0, 1), "d": (4.0, 0)}
    rows = cumulative_incidence(dict.fromkeys("abcd", True), follow_up)
    assert [(r[0], r[1], r[2]) for r in rows] == [("yes", 1.0, 0.25), ("yes", 2.0, 0.25), ("yes", 3.0, 0.5)]


def test_a_gene_that_was_not_seen_leaves_its_carrier_state_undecided(tmp_path):
    carriers = [table(tmp_path, f"P{i}", "POS", called()) for i in range(3)]
    others = [
        table(tmp_path, "N1", "NEG"),
        table(tmp_path, "N2", "NEG", limits={}),
        table(tmp_path, "N3", "IND", called(verdict="REVIEW")),
    ]
    samples = carriers + others
    found = exposures(samples, decided_by_patient(samples))
    assert found["CH"]["N3"] is None
    assert [found["CH DNMT3A"][p] for p in ("P0", "N1", "N2", "N3")] == [True, False, None, None]


def test_two_samples_of_one_patient_are_refused(tmp_path):
    with pytest.raises(InputRefused, match="has another table"):
        decided_by_patient([table(tmp_path, "P1", "POS"), table(tmp_path, "P1", "NEG")])


def test_outcomes_are_read_and_their_tables_written(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text("patient_id,cr,smn_time,smn_event\na,1,10,1\nb,0,12,0\nc,,5,2\n")
    outcomes, follow_up = read_outcomes(path)
    assert outcomes == {"cr": {"a": True, "b": False, "c": None}}
    assert follow_up == {"a": (10.0, 1), "b": (12.0, 0), "c": (5.0, 2)}
    write_associations(tmp_path / "a.csv", {"CH": {"a": True, "b": False, "c": True}}, outcomes)
    assert (tmp_path / "a.csv").read_text().splitlines()[1].startswith("CH,cr,1,1,1,0,0,1,1,0,1,")
    write_incidence(tmp_path / "i.csv", {"a": True, "b": True, "c": True}, follow_up)
    assert (tmp_path / "i.csv").read_text().splitlines()[2].startswith("yes,10,0.333333")


@pytest.mark.parametrize(
    ("row", "cause"),
    [("a,2,,", "neither 0 nor 1"), ("a,1,0,1", "no positive time"), ("a,1,3,7", "no positive")],
)
def test_outcomes_that_mean_nothing_are_refused(tmp_path, row, cause):
    path = tmp_path / "o.csv"
    path.write_text(f"patient_id,cr,smn_time,smn_event\n{row}\n")
    with pytest.raises(SheetRefused, match=cause):
        read_outcomes(path)


def marks():
    return [
        Mark(patient_id="P1", gene="DNMT3A", change="R882H", verdict="IN", vaf=0.05),
        Mark(patient_id="P2", gene="DNMT3A", change="F732del", verdict="REVIEW", vaf=0.1),
        Mark(patient_id="P2", gene="DNMT3A", change="c.1430-1G>C", verdict="IN", vaf=None),
        Mark(patient_id="P3", gene="TET2", change="R550*", verdict="IN", vaf=0.02),
    ]


def test_the_oncoprint_shows_every_patient_and_gene_most_frequent_first():
    decided = {"P1": "POS", "P2": "IND", "P3": "POS", "P4": "NEG"}
    with house_style():
        text = image_of(oncoprint(marks(), sorted(decided), decided)).decode()
    assert all(f">{p}<" in text for p in decided)
    assert text.index("DNMT3A  50 %") < text.index("TET2  25 %")
    assert "to be looked at" in text


def test_the_lollipop_places_splice_sites_beside_their_codon():
    own = [m for m in marks() if m.gene == "DNMT3A"]
    assert [m.residue for m in own] == [882.0, 732.0, pytest.approx(477.33, abs=0.01)]
    with house_style():
        text = image_of(lollipop("DNMT3A", own, [(292, 350)])).decode()
    assert "DNMT3A, residue of 912" in text
    assert "c.1430-1G&gt;C" in text


def test_a_gene_without_a_protein_is_not_drawn():
    with pytest.raises(ValueError, match="protein is not known"):
        lollipop("GNB1", [])


def test_empty_cohorts_are_drawn_too():
    with house_style():
        assert b"at the threshold" in image_of(oncoprint([], ["P1"], {"P1": "NEG"}))
