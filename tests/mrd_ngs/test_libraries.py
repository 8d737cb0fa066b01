"""From FASTQ to result on libraries whose truth is known."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mrd_ngs.call import NgsCalls, call_markers, call_patient
from mrd_ngs.evidence import Library
from mrd_ngs.germline import load_germline
from mrd_ngs.index_clone import index_markers
from mrd_ngs.read import read_library
from mrd_ngs.settings import NgsSettings
from mrd_ngs.simulate import (
    LibraryDesign,
    simulate_clone,
    simulate_library,
    simulate_spike_ins,
    spike_in_sheet,
)
from pipeline.model import MrdResult, Reason, Sample, Status

SETTINGS = NgsSettings()
Make = Callable[..., Sample]


def call_series(folder: Path, sheet: Path, cells: dict[str, int], make_sample: Make) -> NgsCalls:
    """Call libraries in their order; the first is the baseline."""
    samples = [
        make_sample(
            timepoint="BASE" if number == 0 else f"FU{number}",
            collected_on=date(2026, 1, 1 + number),
            files=(folder / f"{name}.fastq.gz",),
            cells=cells[name],
            spike_ins=sheet,
        )
        for number, name in enumerate(cells)
    ]
    return call_patient([read_library(s, SETTINGS) for s in samples], settings=SETTINGS, baseline="BASE")


def assert_recovers(result: MrdResult, truth: float) -> None:
    assert result.status is Status.DETECTED
    assert result.value is not None
    assert result.ci_low is not None
    assert result.ci_high is not None
    near = truth / 1.3 <= result.value <= truth * 1.3
    assert near or result.ci_low <= truth <= result.ci_high


def assert_negative_with_limit(result: MrdResult) -> None:
    assert result.status is Status.NOT_DETECTED
    assert result.reason is Reason.BELOW_DECISION_COUNT
    assert result.numerator == 0
    assert result.value == 0
    assert result.lod is not None
    assert result.lod > 0
    assert result.lod_basis.startswith("1 template, 95 % power, ")
    assert "look-alikes not counted" in result.qc


def test_small_series_is_recovered(small_data: Path, make_sample: Make) -> None:
    folder = small_data / "ngs"
    truth = json.loads((folder / "truth.json").read_text())
    libraries = truth["libraries"]
    cells = {name: libraries[name]["cells"] for name in ("baseline", "mrd_1e-3", "mrd_1e-5", "neg_near")}
    calls = call_series(folder, folder / "spike_ins.tsv", cells, make_sample)
    baseline, high, low, negative = calls.results
    assert [m.junction for m in calls.markers if m.taken] == [truth["clone"]["junction"]]
    assert_recovers(baseline, libraries["baseline"]["true_mrd"])
    assert_recovers(high, libraries["mrd_1e-3"]["true_mrd"])
    assert_recovers(low, libraries["mrd_1e-5"]["true_mrd"])
    assert_negative_with_limit(negative)


def test_dilution_series_is_recovered(shared_data: Path, tmp_path: Path, make_sample: Make) -> None:
    folder = shared_data / "ngs_sim"
    truth = json.loads((folder / "truth.json").read_text())
    sheet = tmp_path / "spike_ins.tsv"
    rows = [f"S{i}\t{s['seq']}\t{s['copies']}\n" for i, s in enumerate(truth["spike_ins"])]
    sheet.write_text("name\tsequence\tcopies\n" + "".join(rows))
    names = ("baseline", "d1e-3_r0", "d1e-5_r0", "neg_near")
    cells = {name: truth["samples"][name]["cells"] for name in names}
    calls = call_series(folder, sheet, cells, make_sample)
    baseline, high, low, negative = calls.results
    assert [m.junction for m in calls.markers if m.taken] == [truth["clone_junction"]]
    assert_recovers(baseline, truth["samples"]["baseline"]["true_mrd"])
    assert_recovers(high, truth["samples"]["d1e-3_r0"]["true_mrd"])
    assert_recovers(low, truth["samples"]["d1e-5_r0"]["true_mrd"])
    assert_negative_with_limit(negative)
    assert negative.lod == pytest.approx(3e-6, rel=0.5)  # a million cells: 3/n at full efficiency
    assert sum(track.window.one_mismatch for track in calls.tracks[3:]) > 90, "the look-alikes are there"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_interval_covers_and_negatives_stay_negative_end_to_end(tmp_path: Path, make_sample: Make) -> None:
    """Simulated libraries through files: coverage at 1e-4, and no call among look-alikes."""
    rng = np.random.default_rng(11)
    germline = load_germline()
    clone, spike_ins = simulate_clone(rng, germline), simulate_spike_ins(rng, germline)
    sheet = tmp_path / "spike_ins.tsv"
    sheet.write_text(spike_in_sheet(spike_ins))

    def library(**design: Any) -> Library:
        made = simulate_library(
            LibraryDesign(reads=8000, **design), clone, spike_ins, germline, rng, name="L"
        )
        path = tmp_path / "library.fastq.gz"
        path.write_bytes(made.fastq_gz)
        return read_library(make_sample(files=(path,), cells=design["cells"], spike_ins=sheet), SETTINGS)

    markers = index_markers(library(cells=20_000, clone_cells=2000, b_cells=500), SETTINGS)
    assert [m.junction.encode() for m in markers if m.taken] == [clone.junction]
    covered = called = 0
    replicates, expected, cells = 100, 30.0, 300_000
    for _ in range(replicates):
        positive = library(cells=cells, clone_cells=int(rng.poisson(expected)), b_cells=1000)
        negative = library(cells=cells, clone_cells=0, b_cells=1000, near_cells=(20, 20))
        found, blank = call_markers([positive, negative], markers, settings=SETTINGS).results
        covered += found.ci_low <= expected / cells <= found.ci_high
        called += blank.status is Status.DETECTED
    # 0.95 less three standard errors of 100 libraries (0.0218 each)
    assert covered >= 88, covered
    assert called == 0
