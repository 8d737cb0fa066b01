"""A small simulated trial: files, sheet, configuration and truth, ready for ``nadir run``.

Four stories, repeated with other seeds for more patients: one responds and becomes
negative with a sample deep enough to say so; one relapses; one stays positive; one is
negative in a sample too shallow to say so at 1e-5. The data are simulated by
`mrd_ngs.simulate` and `mrd_flow.simulate`, whose docstrings say what they do not model.
"""

import csv
import io
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from pipeline.errors import UsageError
from pipeline.formats.atomic import write_bytes, write_json, write_text

__all__ = ["DemoTrial", "make_demo"]

STUDY = "NADIR-DEMO"
COLUMNS = (
    "patient_id", "timepoint", "collected_on", "material", "assay", "file_1", "file_2", "run_id", "cells",
    "dna_ng", "spike_ins", "panel", "sex",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What is true of one visit, and how deep it was looked at."""

    timepoint: str
    collected_on: date
    fraction: float
    flow_events: int
    cells: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoTrial:
    """Where the demo's parts lie."""

    sheet: Path
    config: Path
    truth: Path
    samples: int


def _visits(*rows: tuple[float, int, int]) -> tuple[Visit, ...]:
    dates = {
        "BASE": date(2025, 1, 14),
        "IND": date(2025, 5, 20),
        "ASCT": date(2025, 9, 9),
        "MNT1Y": date(2026, 9, 15),
    }
    return tuple(
        Visit(timepoint=code, collected_on=day, fraction=fraction, flow_events=events, cells=cells)
        for (code, day), (fraction, events, cells) in zip(dates.items(), rows, strict=True)
    )


# fraction of nucleated cells, flow events per panel, cells sequenced; BASE, IND, ASCT, MNT1Y
STORIES: tuple[tuple[str, tuple[Visit, ...]], ...] = (
    (
        "responds; negative one year into maintenance, deep enough to say so",
        _visits(
            (0.20, 60_000, 50_000),
            (1e-3, 300_000, 1_000_000),
            (6e-5, 900_000, 1_000_000),
            (0.0, 3_600_000, 1_000_000),
        ),
    ),
    (
        "relapses one year into maintenance",
        _visits(
            (0.25, 60_000, 50_000),
            (2e-4, 500_000, 1_000_000),
            (8e-5, 900_000, 1_000_000),
            (4e-3, 200_000, 1_000_000),
        ),
    ),
    (
        "stays positive",
        _visits(
            (0.12, 60_000, 50_000),
            (9e-3, 150_000, 1_000_000),
            (1e-3, 200_000, 1_000_000),
            (4e-4, 300_000, 1_000_000),
        ),
    ),
    (
        "negative, but in samples too shallow to say so at 1e-5",
        _visits(
            (0.15, 60_000, 50_000),
            (6e-4, 300_000, 500_000),
            (0.0, 300_000, 150_000),
            (0.0, 400_000, 200_000),
        ),
    ),
)

FLOW_PANELS = ("euroflow", "srl")


def make_demo(out: Path, *, patients: int = 4, seed: int = 2026, jobs: int = 1) -> DemoTrial:
    """Simulate a trial into ``out``: data/, truth/, sheet.csv, config.toml.

    Parameters
    ----------
    out
        A folder that does not exist yet, or an earlier demo's, whose files are replaced.
    patients
        How many, >= 1; the four stories are repeated with other random numbers.
    seed
        Of all random numbers: the same seed gives the same bytes, whatever ``jobs``.
    jobs
        Processes that simulate at once.

    Raises
    ------
    UsageError
        If ``patients`` is below 1 or above 999.
    """
    if not 1 <= patients <= 999:
        raise UsageError("--patients must lie between 1 and 999")
    work = [
        _Simulation(out=out, patient=number, story=STORIES[number % len(STORIES)][1], seed=seed)
        for number in range(patients)
    ]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, patients), mp_context=context) as pool:
        rows = [row for patient_rows in pool.map(_simulate_patient, work) for row in patient_rows]
    write_text(out / "sheet.csv", _as_csv(rows))
    write_text(out / "config.toml", _CONFIG)
    write_json(
        out / "truth" / "trial.json",
        {f"DEMO-{n + 1:03d}": STORIES[n % len(STORIES)][0] for n in range(patients)},
    )
    return DemoTrial(
        sheet=out / "sheet.csv", config=out / "config.toml", truth=out / "truth", samples=len(rows)
    )


_CONFIG = """\
# The demo's study. Every key that is not given here has the default of configs/default.toml.
[study]
id = "NADIR-DEMO"
title = "Simulated trial"
timepoints = [
    { code = "BASE", label = "Before treatment" },
    { code = "IND", label = "After induction" },
    { code = "ASCT", label = "Day 60-90 after transplant" },
    { code = "MNT1Y", label = "Maintenance, 1 year" },
]
thresholds = [1e-5, 1e-6]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Simulation:
    """One patient's work for one process."""

    out: Path
    patient: int
    story: tuple[Visit, ...]
    seed: int

    @property
    def patient_id(self) -> str:
        return f"DEMO-{self.patient + 1:03d}"

    def rng(self, *stream: int) -> np.random.Generator:
        """A generator of its own for every file, so that no file depends on another's length."""
        return np.random.default_rng([self.seed, self.patient, *stream])


def _simulate_patient(work: _Simulation) -> list[dict[str, str]]:
    return [*_simulate_reads(work), *_simulate_tubes(work)]


def _simulate_reads(work: _Simulation) -> Iterator[dict[str, str]]:
    from mrd_ngs.germline import load_germline

    from mrd_ngs.simulate import (
        LibraryDesign,
        simulate_clone,
        simulate_library,
        simulate_spike_ins,
        spike_in_sheet,
    )

    germline = load_germline()
    clone = simulate_clone(work.rng(0), germline)
    # Spike-ins belong to the laboratory, not to the patient: one file, the same bytes from any process.
    spike_ins = simulate_spike_ins(np.random.default_rng([work.seed, 0]), germline)
    sheet = work.out / "data" / "spike_ins.tsv"
    write_text(sheet, spike_in_sheet(spike_ins))
    for number, visit in enumerate(work.story):
        rng = work.rng(0, number)
        clone_cells = int(rng.poisson(visit.fraction * visit.cells))
        design = LibraryDesign(
            cells=visit.cells, clone_cells=clone_cells, b_cells=min(6000, visit.cells // 50)
        )
        name = f"{work.patient_id}_{visit.timepoint}_ngs"
        library = simulate_library(design, clone, spike_ins, germline, rng, name=name)
        path = work.out / "data" / f"{name}.fastq.gz"
        write_bytes(path, library.fastq_gz)
        write_json(
            work.out / "truth" / f"{name}.json", {**library.truth, "junction": clone.junction.decode()}
        )
        spikes = sheet.relative_to(work.out).as_posix()
        yield _row(work, visit, assay="ngs", files=[path], cells=str(visit.cells), spike_ins=spikes)


def _simulate_tubes(work: _Simulation) -> Iterator[dict[str, str]]:
    from mrd_flow.panel import load_panel
    from mrd_flow.simulate import simulate_tube
    from pipeline.formats.records import to_json

    light_chain = ("cyKappa", "cyLambda")[work.patient % 2]
    for number, visit in enumerate(work.story):
        for panel_number, name in enumerate(FLOW_PANELS):
            panel = load_panel(name)
            paths, truths = [], []
            for tube in range(len(panel.tubes)):
                path = work.out / "data" / f"{work.patient_id}_{visit.timepoint}_{name}_{tube + 1}.fcs"
                truths.append(
                    simulate_tube(
                        path,
                        panel,
                        tube,
                        events=visit.flow_events // len(panel.tubes),
                        aberrant_fraction=visit.fraction,
                        light_chain=light_chain,
                        rng=work.rng(1, number, panel_number, tube),
                    )
                )
                paths.append(path)
            write_json(
                work.out / "truth" / f"{work.patient_id}_{visit.timepoint}_{name}.json",
                [to_json(t) for t in truths],
            )
            yield _row(work, visit, assay="flow", files=paths, panel=name)


def _row(work: _Simulation, visit: Visit, *, assay: str, files: list[Path], **cells: str) -> dict[str, str]:
    return {
        "patient_id": work.patient_id,
        "timepoint": visit.timepoint,
        "collected_on": visit.collected_on.isoformat(),
        "material": "bone_marrow",
        "assay": assay,
        **{f"file_{i + 1}": path.relative_to(work.out).as_posix() for i, path in enumerate(files)},
        "run_id": f"{assay.upper()}-{visit.timepoint}",
        "sex": "FM"[work.patient % 2],
        **cells,
    }


def _as_csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
