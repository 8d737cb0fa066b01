"""Clones over time: growth with an interval that holds, and new and lost only where it can be said."""

from datetime import date, timedelta

import numpy as np
import pytest

from chip.call import call_graft
from chip.rules.rule_set import load_rule_set
from chip.series import Fate, Point, fate_of, grow
from chip.series_tables import read_sample_table, trajectories, write_series
from chip.settings import ChipSettings
from chip.simulate import GraftTruth, TrueVariant, simulate_graft, simulate_series_fractions
from chip.tables import write_calls
from chip.trajectory_picture import trajectory_figure
from pipeline.errors import DamagedFile, InputRefused
from pipeline.model import Assay, Material, Sample
from pipeline.report.figure_style import house_style, image_of

FIRST = date(2026, 1, 1)


def point(years, alt, depth=1000, *, found=True, limit=0.01):
    day = FIRST + timedelta(days=round(365.25 * years))
    return Point(
        timepoint=f"T{years:g}", collected_on=day, alt=alt, depth=depth, found=found, detectable_vaf=limit
    )


def test_growth_is_that_of_the_counts():
    shares = simulate_series_fractions(0.02, 0.5, [0.0, 1.0, 2.0])
    found = grow([point(t, round(s * 1_000_000), 1_000_000) for t, s in enumerate(shares)])
    assert found.per_year == pytest.approx(0.5, abs=0.003)
    assert found.ci_low < 0.5 < found.ci_high


@pytest.mark.parametrize("years", [(0.0, 1.0), (0.0, 0.5, 1.0, 2.0)])
def test_the_interval_of_growth_holds_what_it_promises(years):
    """400 simulated clones: coverage of at least 93 %, at most 98 %."""
    rng = np.random.default_rng(11)
    shares = simulate_series_fractions(0.04, 0.3, years)
    held = []
    for _ in range(400):
        found = grow([point(t, int(rng.binomial(1500, s)), 1500) for t, s in zip(years, shares, strict=True)])
        held.append(found.ci_low <= 0.3 <= found.ci_high)
    assert 0.93 <= np.mean(held) <= 0.98


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([point(0, 20)], "fewer than two dates"),
        ([point(0, 20), point(1, 0, None)], "fewer than two dates"),
        ([point(0, 0), point(1, 0)], "no supporting read"),
        ([point(0, 20), point(1, 600)], "one half or more"),
        ([point(0, 0), point(1, 20)], "do not bound it"),
    ],
)
def test_growth_that_cannot_be_told_has_a_reason_and_no_number(points, reason):
    found = grow(points)
    assert found.per_year is None
    assert reason in found.reason


@pytest.mark.parametrize(
    ("first", "last", "fate"),
    [
        (point(0, 20), point(1, 30), Fate.PERSISTS),
        (point(0, 0, found=False), point(1, 30), Fate.NEW),
        (point(0, 0, found=False, limit=0.05), point(1, 30), Fate.NOT_ASSESSABLE),
        (point(0, 0, found=False, limit=None), point(1, 30), Fate.NOT_ASSESSABLE),
        (point(0, 30), point(1, 0, found=False), Fate.LOST),
        (point(0, 30), point(1, 0, found=False, limit=0.04), Fate.NOT_ASSESSABLE),
    ],
)
def test_a_clone_is_new_or_lost_only_where_the_other_sample_could_have_shown_it(first, last, fate):
    assert fate_of([first, last])[0] is fate


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Three samples of one patient: a growing clone, a lost one, and one that comes late."""
    folder = tmp_path_factory.mktemp("series")
    rng = np.random.default_rng(2)
    sets = [load_rule_set("topmed_2022"), load_rule_set("strict_core")]
    growing = simulate_series_fractions(0.05, 0.3, [0, 1, 2])
    paths = []
    for number in range(3):
        truth = GraftTruth(
            variants=(
                TrueVariant(gene="DNMT3A", hgvsp="R882H", vaf=growing[number]),
                TrueVariant(gene="PPM1D", hgvsp="R552*", vaf=(0.04, 0.02, 0.0)[number]),
                TrueVariant(gene="TET2", hgvsp="R550*", vaf=(0.0, 0.01, 0.05)[number]),
            ),
            genes=("DNMT3A", "PPM1D", "TET2"),
            molecules=2000,
        )
        sample = Sample(
            study_id="S",
            patient_id="P1",
            timepoint=f"T{number}",
            collected_on=date(2026 + number, 1, 1),
            material=Material.PERIPHERAL_BLOOD,
            assay=Assay.CHIP,
            files=(folder / "x",),
        )
        path = folder / f"t{number}.tsv"
        write_calls(
            path,
            call_graft(simulate_graft(truth, rng, sample=sample), sets, ChipSettings()),
            [s.id for s in sets],
        )
        paths.append(path)
    return paths


def test_tables_of_samples_become_trajectories(tables, tmp_path):
    found = trajectories([read_sample_table(path) for path in reversed(tables)])
    assert {(t.gene, t.fate) for t in found} == {
        ("DNMT3A", Fate.PERSISTS),
        ("PPM1D", Fate.LOST),
        ("TET2", Fate.NEW),
    }
    growth = next(t.growth for t in found if t.gene == "DNMT3A")
    assert growth.ci_low < 0.3 < growth.ci_high
    write_series(tmp_path / "series.csv", found)
    assert (tmp_path / "series.csv").read_text().count("\n") == 10


def test_the_picture_names_every_clone_and_is_the_same_each_time(tables):
    found = trajectories([read_sample_table(path) for path in tables])
    with house_style():
        images = [image_of(trajectory_figure(found)) for _ in range(2)]
    assert images[0] == images[1]
    assert all(name in images[0] for name in (b"DNMT3A R882H", b"PPM1D R552*", b"TET2 R550*"))


def test_two_tables_of_one_day_are_refused(tables):
    with pytest.raises(InputRefused, match="same patient and day"):
        trajectories([read_sample_table(tables[0])] * 2)


def test_a_table_without_its_result_or_with_a_damaged_one_is_refused(tables, tmp_path):
    alone = tmp_path / "t.tsv"
    alone.write_bytes(tables[0].read_bytes())
    with pytest.raises(InputRefused, match="is not beside its table"):
        read_sample_table(alone)
    (tmp_path / "t.result.json").write_text("{")
    with pytest.raises(DamagedFile, match="is no result"):
        read_sample_table(alone)
    text = tables[0].with_name("t0.result.json").read_text()
    (tmp_path / "t.result.json").write_text(text.replace('"2026-01-01"', "null"))
    with pytest.raises(InputRefused, match="no dated sample"):
        read_sample_table(alone)
