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
from pipeline.formats.digest import sha256_file
from pipeline.formats.records import to_json

__all__ = ["DemoTrial", "make_demo"]

STUDY = "NADIR-DEMO"
COLUMNS = (
    "patient_id", "timepoint", "collected_on", "material", "assay", "file_1", "file_2", "run_id", "cells",
    "dna_ng", "spike_ins", "panel", "sex", "sha256_1", "sha256_2",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What is true of one visit, and how deep it was looked at."""

    timepoint: str
    collected_on: date
    fraction: float
    flow_events: dict[str, int]
    cells: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoTrial:
    """Where the demo's parts lie."""

    sheet: Path
    config: Path
    truth: Path
    samples: int


def _visits(*rows: tuple[float, int, int, int]) -> tuple[Visit, ...]:
    dates = {
        "BASE": date(2025, 1, 14),
        "IND": date(2025, 5, 20),
        "ASCT": date(2025, 9, 9),
        "MNT1Y": date(2026, 9, 15),
    }
    return tuple(
        Visit(
            timepoint=code,
            collected_on=day,
            fraction=fraction,
            flow_events={"euroflow": euroflow, "srl": srl},
            cells=cells,
        )
        for (code, day), (fraction, euroflow, srl, cells) in zip(dates.items(), rows, strict=True)
    )


# A visit: fraction of nucleated cells, EuroFlow events (both tubes), SRL events, cells sequenced.
# 2.93 million nucleated cells are needed to call a flow sample negative at 1e-5; about 3.2 million events.
STORIES: tuple[tuple[str, tuple[Visit, ...]], ...] = (
    (
        "responds; negative one year into maintenance, by EuroFlow deep enough to say so",
        _visits(
            (0.20, 60_000, 60_000, 50_000),
            (1e-3, 300_000, 200_000, 1_000_000),
            (1e-4, 600_000, 500_000, 1_000_000),
            (0.0, 3_300_000, 1_000_000, 1_000_000),
        ),
    ),
    (
        "relapses one year into maintenance",
        _visits(
            (0.25, 60_000, 60_000, 50_000),
            (3e-4, 300_000, 200_000, 1_000_000),
            (1e-4, 600_000, 500_000, 1_000_000),
            (4e-3, 100_000, 100_000, 1_000_000),
        ),
    ),
    (
        "stays positive",
        _visits(
            (0.12, 60_000, 60_000, 50_000),
            (9e-3, 150_000, 100_000, 1_000_000),
            (1e-3, 150_000, 100_000, 1_000_000),
            (4e-4, 200_000, 200_000, 1_000_000),
        ),
    ),
    (
        "negative, but in samples too shallow to say so at 1e-5",
        _visits(
            (0.15, 60_000, 60_000, 50_000),
            (6e-4, 200_000, 200_000, 500_000),
            (0.0, 200_000, 200_000, 150_000),
            (0.0, 300_000, 200_000, 200_000),
        ),
    ),
)


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
        _Simulation(out=out, patient=patient, number=number, visit=visit, seed=seed)
        for patient in range(patients)
        for number, visit in enumerate(STORIES[patient % len(STORIES)][1])
    ]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        rows = [row for visit_rows in pool.map(_simulate_visit, work) for row in visit_rows]
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
    """One visit's work for one process."""

    out: Path
    patient: int
    number: int
    visit: Visit
    seed: int

    @property
    def patient_id(self) -> str:
        return f"DEMO-{self.patient + 1:03d}"

    def rng(self, *stream: int) -> np.random.Generator:
        """A generator of its own for every file, so that no file depends on another's length."""
        return np.random.default_rng([self.seed, self.patient, *stream])


def _simulate_visit(work: _Simulation) -> list[dict[str, str]]:
    return [_simulate_reads(work), *_simulate_tubes(work)]


def _simulate_reads(work: _Simulation) -> dict[str, str]:
    from mrd_ngs.germline import load_germline
    from mrd_ngs.simulate import (
        LibraryDesign,
        simulate_clone,
        simulate_library,
        simulate_spike_ins,
        spike_in_sheet,
    )

    visit, germline = work.visit, load_germline()
    clone = simulate_clone(work.rng(0), germline)
    # Spike-ins belong to the laboratory, not to the patient: one file, the same bytes from any process.
    spike_ins = simulate_spike_ins(np.random.default_rng([work.seed, 0]), germline)
    sheet = work.out / "data" / "spike_ins.tsv"
    write_text(sheet, spike_in_sheet(spike_ins))
    rng = work.rng(0, work.number)
    clone_cells = int(rng.poisson(visit.fraction * visit.cells))
    design = LibraryDesign(cells=visit.cells, clone_cells=clone_cells, b_cells=min(6000, visit.cells // 50))
    name = f"{work.patient_id}_{visit.timepoint}_ngs"
    library = simulate_library(design, clone, spike_ins, germline, rng, name=name)
    path = work.out / "data" / f"{name}.fastq.gz"
    write_bytes(path, library.fastq_gz)
    write_json(work.out / "truth" / f"{name}.json", {**library.truth, "junction": clone.junction.decode()})
    spikes = sheet.relative_to(work.out).as_posix()
    return _row(work, assay="ngs", files=[path], cells=str(visit.cells), spike_ins=spikes)


def _simulate_tubes(work: _Simulation) -> Iterator[dict[str, str]]:
    from mrd_flow.panel.template import load_panel
    from mrd_flow.simulate import simulate_tube

    light_chain = ("cyKappa", "cyLambda")[work.patient % 2]
    for panel_number, (name, events) in enumerate(work.visit.flow_events.items()):
        panel = load_panel(name)
        stem = f"{work.patient_id}_{work.visit.timepoint}_{name}"
        tubes = range(len(panel.tubes))
        paths = [work.out / "data" / f"{stem}_{tube + 1}.fcs" for tube in tubes]
        truths = [
            simulate_tube(
                paths[tube],
                panel,
                tube,
                events=events // len(tubes),
                aberrant_fraction=work.visit.fraction,
                light_chain=light_chain,
                rng=work.rng(1, work.number, panel_number, tube),
            )
            for tube in tubes
        ]
        write_json(work.out / "truth" / f"{stem}.json", [to_json(t) for t in truths])
        yield _row(work, assay="flow", files=paths, panel=name)


def _row(work: _Simulation, *, assay: str, files: list[Path], **cells: str) -> dict[str, str]:
    return {
        "patient_id": work.patient_id,
        "timepoint": work.visit.timepoint,
        "collected_on": work.visit.collected_on.isoformat(),
        "material": "bone_marrow",
        "assay": assay,
        **{f"file_{i + 1}": path.relative_to(work.out).as_posix() for i, path in enumerate(files)},
        **{f"sha256_{i + 1}": sha256_file(path) for i, path in enumerate(files)},
        "run_id": f"{assay}-{work.visit.timepoint}",
        "sex": "FM"[work.patient % 2],
        **cells,
    }


def _as_csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
