"""The acquisition mask may not remove the cells looked for; a true fault stays removed all the same."""

from pathlib import Path

import numpy as np
import pytest

from mrd_flow.acquisition.check import acquisition_qc
from mrd_flow.acquisition.rare_event_guard import guard_rare_events
from mrd_flow.acquisition.result import AcquisitionQc
from mrd_flow.fcs.data_sets import read_data_sets
from mrd_flow.fcs.writer import Column, write_fcs

CHANNELS = ("FSC-A", "SSC-A", "CD38", "CD45", "CD56")
COLUMNS = {name: i for i, name in enumerate(CHANNELS)}
TOP = 262_143.0
EVENTS = 120_000
CLONE = np.array([108e3, 52e3, 70e3, 300, 25e3])


def marrow(seed: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    """Events, and the waits between them in ticks."""
    rng = np.random.default_rng(seed)
    medians = np.array([[110e3, 110e3, 300, 7e3, 80], [70e3, 24e3, 300, 60e3, 80]])
    table = medians[(rng.random(EVENTS) < 0.3).astype(int)]
    table = table * np.exp([0.15, 0.2, 0.5, 0.5, 0.5] * rng.standard_normal((EVENTS, 5)))
    return rng, table, rng.exponential(0.02, EVENTS)


def clone(rng: np.random.Generator, cells: int) -> np.ndarray:
    return CLONE * np.exp([0.15, 0.2, 0.3, 0.5, 0.4] * rng.standard_normal((cells, 5)))


def checked(folder: Path, table: np.ndarray, waits: np.ndarray) -> AcquisitionQc:
    whole = np.column_stack([np.minimum(table, TOP), np.floor(np.cumsum(waits))]).astype(np.float32)
    path = folder / "marrow.fcs"
    write_fcs(path, [Column(name=n) for n in (*CHANNELS, "Time")], [whole], events=EVENTS)
    return acquisition_qc(read_data_sets(path)[0], COLUMNS)


def codes(qc: AcquisitionQc) -> list[str]:
    return [a.code for a in qc.anomalies]


@pytest.mark.parametrize("faster", [False, True], ids=["in their turn", "on top of the others"])
@pytest.mark.parametrize(("first", "cells", "of"), [(30_000, 900, 900), (80_010, 900, 2_000)])
def test_a_burst_of_the_clone_is_kept(
    tmp_path: Path, first: int, cells: int, of: int, *, faster: bool
) -> None:
    rng, table, waits = marrow(first)
    burst = np.sort(rng.choice(of, cells, replace=False)) + first
    elsewhere = rng.choice(20_000, 100, replace=False)
    aberrant = np.concatenate([elsewhere, burst])
    table[aberrant] = clone(rng, len(aberrant))
    if faster:
        waits[burst] *= 0.1
    qc = checked(tmp_path, table, waits)
    assert not qc.kept[burst].any()  # taken for a fault, as it must be without knowing
    guarded = guard_rare_events(qc, aberrant, np.ones(len(aberrant), np.bool_))
    assert guarded.kept[aberrant].mean() >= 0.99
    assert all("enough to be all that deviates" in r.withdrawn for r in guarded.runs)
    assert "rare_event_guard" in codes(guarded)
    assert "acquisition_faults" not in codes(guarded)
    assert np.count_nonzero(qc.kept) == EVENTS - qc.removed  # the check itself is not changed


def test_a_clot_goes_with_the_cells_in_it(tmp_path: Path) -> None:
    rng, table, waits = marrow(3)
    aberrant = np.sort(rng.choice(EVENTS, 600, replace=False))
    table[aberrant] = clone(rng, 600)
    clot = slice(50_000, 53_000)
    table[clot] *= 0.8
    waits[clot] *= 3
    qc = checked(tmp_path, table, waits)
    guarded = guard_rare_events(qc, aberrant, None)
    assert [r.code for r in guarded.runs] == ["clot"]
    assert guarded.runs[0].withdrawn == ""
    assert not guarded.kept[clot].any()
    assert guarded.anomalies == qc.anomalies
    assert guarded.kept.tobytes() == qc.kept.tobytes()


def test_enriched_cells_do_not_excuse_a_clot(tmp_path: Path) -> None:
    rng, table, waits = marrow(4)
    clot = np.arange(50_000, 53_000)
    inside, outside = rng.choice(clot, 200, replace=False), rng.choice(40_000, 100, replace=False)
    aberrant = np.concatenate([inside, outside])
    table[aberrant] = clone(rng, 300)
    table[clot] *= 0.7
    waits[clot] *= 3
    guarded = guard_rare_events(checked(tmp_path, table, waits), aberrant, np.ones(300, np.bool_))
    assert not guarded.kept[clot].any()
    assert "rare_events_in_fault" in codes(guarded)
    grave = [a for a in guarded.anomalies if a.grave]
    assert [a.code for a in grave] == ["rare_events_removed"] * 2
    assert grave[1].text.startswith("the acquisition check removed 20")
    assert "of 300 suspicious plasma cells (67%)" in grave[1].text


def test_cells_brighter_than_the_scale_are_kept(tmp_path: Path) -> None:
    rng, table, waits = marrow(5)
    aberrant = np.sort(rng.choice(EVENTS, 60, replace=False))
    table[aberrant] = clone(rng, 60)
    table[aberrant[:20], 2] = TOP
    table[rng.choice(EVENTS, 30, replace=False), 1] = TOP
    qc = checked(tmp_path, table, waits)
    assert not qc.kept[aberrant[:20]].any()
    guarded = guard_rare_events(qc, aberrant)
    assert guarded.kept[aberrant[:20]].mean() >= 0.9
    assert {m.channel for m in guarded.margins if m.withdrawn} == {"CD38"}
    assert "20 plasma-cell candidates" in next(m.withdrawn for m in guarded.margins if m.withdrawn)
    assert np.count_nonzero(~guarded.kept) >= 25  # the side scatter's margin stands


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    rng, table, waits = marrow(6)
    burst = np.arange(30_000, 30_900)
    table[burst] = clone(rng, 900)
    qc = checked(tmp_path, table, waits)
    once = guard_rare_events(qc, burst)
    again = guard_rare_events(once, burst)
    assert again.runs == once.runs
    assert again.kept.tobytes() == once.kept.tobytes()
    assert again.anomalies == once.anomalies


def test_no_candidates_leave_the_mask(tmp_path: Path) -> None:
    _, table, waits = marrow(7)
    waits[40_000:43_000] /= 3
    qc = checked(tmp_path, table, waits)
    guarded = guard_rare_events(qc, np.empty(0, np.int64), np.empty(0, np.bool_))
    assert guarded.kept.tobytes() == qc.kept.tobytes()
    assert guarded.anomalies == qc.anomalies


def test_events_of_another_file_are_refused(tmp_path: Path) -> None:
    _, table, waits = marrow(8)
    qc = checked(tmp_path, table, waits)
    with pytest.raises(ValueError, match="outside the data set"):
        guard_rare_events(qc, np.array([EVENTS]))
    with pytest.raises(ValueError, match="one value for each plasma cell"):
        guard_rare_events(qc, np.array([1, 2]), np.array([True]))
