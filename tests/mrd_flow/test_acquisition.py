"""Acquisition check: planted clots, bubbles and surges against their truth; what cannot be judged is said."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from mrd_flow.acquisition.bins import binned, median_of_cells
from mrd_flow.acquisition.check import acquisition_qc
from mrd_flow.acquisition.result import AcquisitionQc, AcquisitionSettings
from mrd_flow.fcs.data_sets import DataSet, read_data_sets
from mrd_flow.fcs.writer import Column, write_fcs
from mrd_flow.panel.detectors import assign_detectors
from mrd_flow.panel.template import Panel
from mrd_flow.simulate import simulate_tube
from mrd_flow.simulation.acquisition_faults import draw_faults

CHANNELS = ("FSC-A", "FSC-H", "SSC-A", "CD38", "CD45", "CD19")
COLUMNS = {name: i for i, name in enumerate(CHANNELS)}
TOP = 262_143.0
EVENTS = 120_000


class Marrow:
    """Events of three cell types at 5,000 a second; faults are planted into ``table`` and ``waits``."""

    def __init__(self, seed: int, events: int = EVENTS, drift: float = 0.0) -> None:
        self.rng = np.random.default_rng(seed)
        kind = self.rng.choice(3, events, p=[0.6, 0.3, 0.1])
        medians = np.array([[110e3, 90e3, 110e3, 300, 7e3, 80], [70e3, 57e3, 24e3, 300, 60e3, 80]])
        medians = np.vstack([medians, [68e3, 56e3, 22e3, 20e3, 9e3, 8e3]])
        spread = np.array([0.15, 0.15, 0.2, 0.5, 0.5, 0.5])
        self.table = medians[kind] * np.exp(spread * self.rng.standard_normal((events, 6)))
        self.table[:, 3:] += 110 * self.rng.standard_normal((events, 3))
        self.table *= 1 + drift * np.linspace(-0.5, 0.5, events)[:, np.newaxis]
        self.waits = self.rng.exponential(0.02, events)  # ticks of 0.01 s
        self.faulty = np.zeros(events, np.bool_)

    def plant(self, kind: str, first: int, events: int) -> None:
        run = slice(first, first + events)
        self.faulty[run] = True
        if kind == "clot":
            self.waits[run] *= 2.5
            self.table[run] *= 0.8
        elif kind == "bubble":
            self.waits[first] += 200.0
            self.table[run, :3] *= np.exp(0.5 * self.rng.standard_normal((events, 3)))
        else:
            self.waits[run] /= 3
            self.table[run, :2] *= 1.08

    def data(self, folder: Path, *, time: np.ndarray | None = None, **keywords: str) -> DataSet:
        ticks = np.floor(np.cumsum(self.waits)) if time is None else time
        whole = np.column_stack([np.minimum(self.table, TOP), ticks]).astype(np.float32)
        columns = [*(Column(name=n) for n in CHANNELS), Column(name=keywords.pop("clock", "Time"))]
        pairs = [("$TIMESTEP", "0.01"), *((f"${k}", v) for k, v in keywords.items())]
        path = folder / "marrow.fcs"
        write_fcs(path, columns, [whole], events=len(whole), keywords=pairs)
        return read_data_sets(path)[0]


def shares(qc: AcquisitionQc, faulty: np.ndarray) -> tuple[float, float]:
    """Faulty events out, good events lost."""
    return float(np.mean(~qc.kept[faulty])) if faulty.any() else 1.0, float(np.mean(~qc.kept[~faulty]))


def codes(qc: AcquisitionQc) -> set[str]:
    return {a.code for a in qc.anomalies}


@pytest.mark.parametrize("drift", [0.0, 0.3])
@pytest.mark.parametrize("place", [0.0, 0.37, 1.0], ids=["start", "middle", "end"])
@pytest.mark.parametrize(
    ("kind", "share"), [("clot", 0.01), ("clot", 0.03), ("bubble", 0.02), ("surge", 0.02)]
)
def test_a_fault_goes_and_good_events_stay(
    tmp_path: Path, kind: str, share: float, place: float, drift: float
) -> None:
    marrow = Marrow(1, drift=drift)
    length = int(share * EVENTS)
    marrow.plant(kind, int(place * (EVENTS - length)), length)
    qc = acquisition_qc(marrow.data(tmp_path), COLUMNS)
    out, lost = shares(qc, marrow.faulty)
    assert out >= 0.95
    assert lost <= 0.02
    assert qc.not_checked == ""


@pytest.mark.parametrize("place", [0.0, 1.0], ids=["start", "end"])
def test_an_eighth_of_the_file_is_not_taken_for_its_course(tmp_path: Path, place: float) -> None:
    marrow = Marrow(18, drift=0.2)
    marrow.plant("clot", int(place * EVENTS * 7 / 8), EVENTS // 8)
    out, lost = shares(acquisition_qc(marrow.data(tmp_path), COLUMNS), marrow.faulty)
    assert out >= 0.95
    assert lost <= 0.02


def test_a_quarter_of_the_file_is_at_least_flagged(tmp_path: Path) -> None:
    marrow = Marrow(19)
    marrow.plant("clot", 0, EVENTS // 4)
    assert "flow_rate_drift" in codes(acquisition_qc(marrow.data(tmp_path), COLUMNS))


def test_the_pattern_is_named_with_its_reasons(tmp_path: Path) -> None:
    marrow = Marrow(2)
    for kind, first in (("clot", 20_000), ("bubble", 60_000), ("surge", 95_000)):
        marrow.plant(kind, first, 2_400)
    qc = acquisition_qc(marrow.data(tmp_path), COLUMNS)
    assert [r.code for r in qc.runs] == ["clot", "bubble", "surge"]
    clot, bubble, surge = qc.runs
    assert clot.rate_ratio == pytest.approx(0.4, rel=0.1)
    assert {"FSC-A", "FSC-H"} <= set(clot.channels)
    assert clot.largest_shift < -0.1
    assert clot.statistic > clot.limit == AcquisitionSettings().z_limit
    assert "behind a clot: rate x 0.4" in clot.sentence
    assert "spread of FSC-A +" in bubble.sentence
    assert surge.rate_ratio == pytest.approx(3.0, rel=0.1)
    assert clot.first_event <= 20_000 < 22_399 <= clot.last_event
    text = next(a.text for a in qc.anomalies if a.code == "acquisition_faults")
    assert text.endswith("in 3 faulty run(s) removed: 1 bubble, 1 clot, 1 surge")


@pytest.mark.parametrize("seed", range(4))
def test_a_clean_file_loses_nothing_but_margins(tmp_path: Path, seed: int) -> None:
    qc = acquisition_qc(Marrow(10 + seed).data(tmp_path), COLUMNS)
    assert qc.runs == ()
    assert qc.removed == len(qc.margin_events) <= 0.005 * EVENTS


def test_slow_drift_is_flagged_and_not_removed(tmp_path: Path) -> None:
    marrow = Marrow(3, drift=0.4)
    marrow.waits *= np.linspace(0.7, 1.4, EVENTS)
    qc = acquisition_qc(marrow.data(tmp_path), COLUMNS)
    assert qc.runs == ()
    assert {"signal_drift", "flow_rate_drift"} <= codes(qc)
    assert not any(a.grave for a in qc.anomalies)


def test_much_removed_is_grave(tmp_path: Path) -> None:
    marrow = Marrow(4)
    for first in range(5_000, EVENTS, 15_000):
        marrow.plant("clot", first, 4_000)
    qc = acquisition_qc(marrow.data(tmp_path), COLUMNS)
    assert qc.removed_share > 0.2
    assert next(a for a in qc.anomalies if a.code == "acquisition_much_removed").grave


def _standing(n: int) -> np.ndarray:
    return np.full(n, 7.0)


def _backwards(n: int) -> np.ndarray:
    return np.concatenate([np.arange(n // 2), np.arange(n - n // 2)])


def _holes(n: int) -> np.ndarray:
    return np.where(np.arange(n) == 500, np.nan, np.arange(n))


@pytest.mark.parametrize(
    ("times", "why", "grave"),
    [
        (_standing, "time stands still", False),
        (_backwards, "time runs backwards 1 time(s)", True),
        (_holes, "1 times are no numbers", True),
    ],
)
def test_a_clock_that_cannot_be_trusted_is_said(
    tmp_path: Path, times: Callable[[int], np.ndarray], why: str, *, grave: bool
) -> None:
    marrow = Marrow(5, events=20_000)
    marrow.plant("clot", 4_000, 1_000)
    marrow.table[100, 0] = TOP
    qc = acquisition_qc(marrow.data(tmp_path, time=times(20_000)), COLUMNS)
    found = next(a for a in qc.anomalies if a.code == "acquisition_not_checked")
    assert found.grave is grave
    assert found.text == f"acquisition not checked: {qc.not_checked}"
    assert qc.not_checked == why
    assert qc.runs == ()
    assert not qc.kept[100]


def test_without_a_clock_nothing_is_judged(tmp_path: Path) -> None:
    qc = acquisition_qc(Marrow(6, events=20_000).data(tmp_path, clock="Duration"), COLUMNS)
    assert qc.not_checked == "no single parameter is named Time"
    assert qc.trace.unit == ""
    assert not qc.trace.rate.any()


@pytest.mark.parametrize("events", [0, 1, 1_999])
def test_too_few_events_are_not_judged(tmp_path: Path, events: int) -> None:
    qc = acquisition_qc(Marrow(7, events=events).data(tmp_path), COLUMNS)
    assert qc.not_checked == f"{events:,} events are fewer than 40 bins of 50"
    assert len(qc.kept) == events
    assert qc.runs == ()


def test_events_off_scale_go_with_their_channel(tmp_path: Path) -> None:
    marrow = Marrow(8, events=20_000)
    np.clip(marrow.table, 1.0, 200_000.0, out=marrow.table)
    marrow.table[[3, 50], 0] = TOP
    marrow.table[70, 2] = 0.0
    marrow.table[90, 3] = 1e9
    marrow.table[91, 3] = -1e4  # light below zero is noise, not a margin
    marrow.table[92, 4] = np.nan
    marrow.table[93, 5] = -np.inf
    qc = acquisition_qc(marrow.data(tmp_path), COLUMNS)
    assert np.flatnonzero(~qc.kept).tolist() == [3, 50, 70, 90, 92, 93]
    assert {m.channel: m.events for m in qc.margins if m.events} == {
        "FSC-A": 2,
        "SSC-A": 1,
        "CD38": 1,
        "CD45": 1,
        "CD19": 1,
    }


def test_a_scale_that_does_not_fit_the_file_removes_nothing(tmp_path: Path) -> None:
    marrow = Marrow(9, events=20_000)
    marrow.table[:, 5] = np.where(np.arange(20_000) % 10 == 0, 300_000.0, marrow.table[:, 5])
    qc = acquisition_qc(marrow.data(tmp_path), COLUMNS)
    assert next(m for m in qc.margins if m.channel == "CD19").withdrawn.startswith("more than 5% of the file")
    assert qc.removed_share < 0.005
    assert "margin_not_applied" in codes(qc)


def test_amplified_and_single_precision_files_give_the_same_mask(tmp_path: Path) -> None:
    marrow = Marrow(12)
    marrow.plant("clot", 30_000, 3_000)
    plain = acquisition_qc(marrow.data(tmp_path), COLUMNS)
    amplified = acquisition_qc(marrow.data(tmp_path, P4G="2", P1G="4"), COLUMNS)
    assert plain.kept.tobytes() == amplified.kept.tobytes()


def test_a_clock_in_seconds_serves_as_one_in_ticks(tmp_path: Path) -> None:
    marrow = Marrow(13)
    marrow.plant("surge", 30_000, 3_000)
    seconds = np.cumsum(marrow.waits) * 0.01
    qc = acquisition_qc(marrow.data(tmp_path, time=seconds, clock="HDR-T"), COLUMNS)
    assert [r.code for r in qc.runs] == ["surge"]


def test_a_clock_too_coarse_for_the_rate_is_said(tmp_path: Path) -> None:
    marrow = Marrow(14)
    marrow.plant("clot", 30_000, 3_000)
    coarse = np.floor(np.cumsum(marrow.waits) / 400)
    qc = acquisition_qc(marrow.data(tmp_path, time=coarse), COLUMNS)
    assert "flow_rate_not_checked" in codes(qc)
    assert [r.code for r in qc.runs] == ["shift"]
    assert qc.runs[0].rate_ratio is None


def test_the_trace_is_small_and_true(tmp_path: Path) -> None:
    marrow = Marrow(15, events=150_001)
    marrow.plant("clot", 30_000, 3_000)
    data = marrow.data(tmp_path)
    qc = acquisition_qc(data, COLUMNS, settings=AcquisitionSettings(trace_points=300))
    trace = qc.trace
    assert len(trace.seconds) == len(trace.rate) == len(trace.medians) == len(trace.removed_share) == 300
    assert trace.unit == "s"
    assert np.median(trace.rate) == pytest.approx(5_000, rel=0.03)
    lengths = np.diff(np.append(trace.first_event, qc.events))
    assert (trace.removed_share * lengths).sum() == pytest.approx(qc.removed)
    a, b = trace.first_event[100:102]
    truth = np.median(data.table()[a:b, :6], axis=0)
    assert trace.medians[100][[0, 1, 2, 4]] == pytest.approx(truth[[0, 1, 2, 4]], rel=0.15)


def _plain_cell(value: float) -> int:
    """Cell of a value on a scale up to 2^18: four an octave above 2^4, one an octave below zero."""
    if not math.isfinite(value):
        return 63
    octaves = math.log2(abs(value) / 2**4) if abs(value) > 2**4 else 0.0
    # Within an octave the cells are equally wide, not equally far apart in logarithms.
    quarter = int(4 * (2 ** (octaves % 1) - 1)) if octaves else 0
    above = 4 * int(octaves) + quarter
    if math.copysign(1.0, value) < 0:
        return 7 - min(above // 4, 7)
    return 8 + min(above, 55)


def test_bins_hold_what_a_plain_count_gives(tmp_path: Path) -> None:
    marrow = Marrow(16, events=4_321)
    marrow.table[:9, 3] = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-30, -1e30, TOP]
    data = marrow.data(tmp_path)
    found = binned(data, COLUMNS, jitter_ticks=1.0, margin_share_max=0.05, trace_points=1_000)
    values = data.table()
    assert found.trace.cells.sum(axis=2).tolist() == [[50] * 6] * 86 + [[21] * 6]
    for column in range(6):
        cell = np.array([_plain_cell(v) for v in values[:, column].tolist()])
        assert found.trace.cells[:86, column].tolist() == [
            np.bincount(c, minlength=64).tolist() for c in cell[:4_300].reshape(86, 50)
        ]
        # A cell's rank is the mean rank of its events among all, ties shared.
        ranks = (rankdata(cell) - 0.5) / 4_321
        assert found.scores[:, column] == pytest.approx(ranks[:4_300].reshape(86, 50).mean(axis=1), abs=2e-5)
        distances = np.abs(2 * ranks - 1)[:4_300].reshape(86, 50).mean(axis=1)
        assert found.scores[:, 6 + column] == pytest.approx(distances, abs=2e-5)
    lasts = values[49:4_300:50, 6].astype(float)
    assert found.ticks == pytest.approx(np.diff(lasts, prepend=values[0, 6]))
    gaps = np.diff(values[:, 6].astype(float), prepend=values[0, 6])
    assert found.longest_wait == pytest.approx(gaps[:4_300].reshape(86, 50).max(axis=1))


def test_medians_from_cells_are_within_a_cell() -> None:
    cells = np.zeros((1, 1, 64), np.int32)
    cells[0, 0, [3, 40, 63]] = [1, 5, 2]
    median = median_of_cells(cells, np.array([TOP]))[0, 0]
    assert 2**12 <= median <= 2**12.3  # cell 40 is the 32nd of four an octave from 2^4


@pytest.mark.parametrize(
    ("choice", "match"),
    [
        ({"shift": 0.0}, "shift must lie between 0 and 1"),
        ({"z_limit": 0.5}, "z_limit must be above 1"),
        ({"drift_shift": 0.0}, "drift_shift must be above 0"),
        ({"bins_min": 5}, "bins_min at least 20"),
    ],
)
def test_choices_out_of_range_are_refused(choice: dict[str, float], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        AcquisitionSettings(**choice)  # type: ignore[arg-type]


def test_no_channel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 to 64 channels"):
        acquisition_qc(Marrow(17, events=3_000).data(tmp_path), {})


def _simulated(
    folder: Path, panel: Panel, kinds: tuple[str, ...], seed: int, events: int, drift: dict[str, float]
) -> tuple[AcquisitionQc, np.ndarray, np.ndarray]:
    """The check of a simulated tube, which events are at fault, and which are aberrant cells."""
    rng = np.random.default_rng([seed, events])
    faults = draw_faults(kinds, events, rng)
    path, truth = folder / "tube.fcs", folder / "tube.npy"
    simulate_tube(
        path,
        panel,
        0,
        events=events,
        aberrant_fraction=1e-3,
        rng=rng,
        faults=faults,
        drift=drift,
        event_truth=truth,
    )
    data = read_data_sets(path)[0]
    faulty = np.zeros(events, np.bool_)
    for fault in faults:
        faulty[fault.first : fault.first + fault.events] = True
    qc = acquisition_qc(data, assign_detectors(data.parameters, panel, 1).columns)
    return qc, faulty, (np.load(truth) & 7) == 2


def test_faults_of_a_simulated_tube_go(tmp_path: Path, euroflow: Panel) -> None:
    qc, faulty, aberrant = _simulated(
        tmp_path, euroflow, ("clot", "bubble", "surge", "margin"), 1, 200_000, {}
    )
    out, lost = shares(qc, faulty)
    assert out >= 0.95
    assert lost <= 0.02
    assert np.mean(qc.kept[aberrant & ~faulty]) >= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("drift", [{}, {"CD38": 1.5, "CD45": 1.3, "CD19": 0.8}], ids=["steady", "drifting"])
@pytest.mark.parametrize(
    "kinds", [(), ("clot",), ("bubble",), ("surge",), ("margin",), ("clot", "bubble", "surge")]
)
def test_faults_of_twenty_simulated_tubes_go(
    tmp_path: Path, euroflow: Panel, kinds: tuple[str, ...], drift: dict[str, float]
) -> None:
    aberrant_kept, aberrant_all = 0, 0
    for seed in range(20):
        qc, faulty, aberrant = _simulated(tmp_path, euroflow, kinds, seed, 250_000, drift)
        out, lost = shares(qc, faulty)
        assert out >= 0.95
        assert lost <= (0.02 if kinds else 0.005)
        aberrant_kept += int(np.count_nonzero(qc.kept & aberrant & ~faulty))
        aberrant_all += int(np.count_nonzero(aberrant & ~faulty))
    assert aberrant_kept >= 0.98 * aberrant_all
