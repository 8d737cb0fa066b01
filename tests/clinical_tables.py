"""A simulated trial: its clinical tables as files, and what they were made from.

Not a model of myeloma: levels, dates and results are drawn independently, so that every endpoint can be
counted from the truth without the code that is tested.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np

ENROLLED_ON = date(2022, 1, 10)
PHASES = {"INDUCTION": 0, "HARVEST": 120, "ASCT": 150, "CONSOLIDATION": 240, "MAINTENANCE": 360}
LEVELS = ("MR", "PR", "VGPR", "CR", "sCR")
VISIT_DAYS = 30
_SHARE_OF_M_PROTEIN = {"MR": 0.65, "PR": 0.4, "VGPR": 0.04, "CR": 0.0, "sCR": 0.0}


@dataclass
class Truth:
    """What was simulated, by patient; days count from enrolment, ``None`` is what did not happen."""

    arms: dict[str, str] = field(default_factory=dict)
    weights_kg: dict[str, float] = field(default_factory=dict)
    levels: dict[str, dict[str, str]] = field(default_factory=dict)
    progression_day: dict[str, int | None] = field(default_factory=dict)
    death_day: dict[str, int | None] = field(default_factory=dict)
    neoplasm_day: dict[str, int | None] = field(default_factory=dict)
    last_day: dict[str, int] = field(default_factory=dict)
    mrd: dict[str, tuple[bool, float, float] | None] = field(default_factory=dict)
    events: list[tuple[str, str, str, int, str]] = field(
        default_factory=list
    )  # patient, phase, term, grade, route
    cd34_per_kg: dict[str, float] = field(default_factory=dict)
    plerixafor: dict[str, bool] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)


def write_trial(folder: Path, *, patients: int, visits: int, rng: np.random.Generator) -> Truth:
    """Write every table of a trial into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    truth = Truth()
    names = [f"T{i:03}" for i in range(patients)]
    for name in names:
        _draw(name, truth, rng)

    def write(table: str, header: str, rows: Iterable[Sequence[str]]) -> None:
        _write(folder / f"{table}.csv", header, rows)

    write(
        "labs",
        "patient_id,date,test,value,unit,source_row",
        (r for n in names for r in _labs(n, truth, visits)),
    )
    write(
        "baseline",
        "patient_id,age,sex,weight_kg,isotype,enrolled_on,arm",
        (_baseline(n, truth) for n in names),
    )
    write(
        "treatment",
        "patient_id,phase,course,drug,route,dose,unit,start_on,end_on,reason_stopped",
        (r for n in names for r in _treatment(n, truth)),
    )
    write(
        "harvest",
        "patient_id,phase,cd34_per_kg,plerixafor,blood_volume_ml,collected_on",
        (
            (
                n,
                "HARVEST",
                f"{truth.cd34_per_kg[n]:.0f}",
                "YES" if truth.plerixafor[n] else "NO",
                "12000",
                _iso(121),
            )
            for n in names
        ),
    )
    write(
        "outcome",
        "patient_id,progressed_on,died_on,cause,last_seen_on,second_myeloid_neoplasm_on",
        (
            (n, _iso(truth.progression_day[n]), _iso(truth.death_day[n]), "", _iso(truth.last_day[n]),
             _iso(truth.neoplasm_day[n]))
            for n in names
        ),
    )  # fmt: skip
    write(
        "adverse_events",
        "patient_id,term,grade,ctcae_version,start_on,end_on,phase,route,related,serious",
        ((n, t, str(g), "5.0", _iso(PHASES[p] + 1), "", p, r, "YES", "NO") for n, p, t, g, r in truth.events),
    )
    write(
        "mrd",
        "patient_id,timepoint,collected_on,material,assay,panel,target_id,value,lod,status",
        (r for n in names if (r := _mrd(n, truth)) is not None),
    )
    write("lesions", "patient_id,lesion,result", (r for i, n in enumerate(names) for r in _lesions(n, i)))
    return truth


def _write(path: Path, header: str, rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)


def _iso(day: int | None) -> str:
    return "" if day is None else (ENROLLED_ON + timedelta(days=day)).isoformat()


def _draw(name: str, truth: Truth, rng: np.random.Generator) -> None:
    truth.arms[name] = ("DRD", "KRD")[int(rng.integers(2))]
    truth.weights_kg[name] = float(rng.integers(45, 90))
    level = int(rng.integers(0, 3))
    truth.levels[name] = {}
    for phase in PHASES:
        level = min(level + int(rng.random() < 0.4), len(LEVELS) - 1)
        truth.levels[name][phase] = LEVELS[level]
    last = int(rng.integers(1100, 1800))
    progression, death = 420 + int(rng.exponential(2000)), 500 + int(rng.exponential(4000))
    neoplasm = 300 + int(rng.exponential(15000))
    truth.death_day[name] = death if death <= last else None
    end = min(last, death)
    truth.last_day[name] = end
    truth.progression_day[name] = progression if progression <= end else None
    truth.neoplasm_day[name] = neoplasm if neoplasm <= end else None
    detected = bool(rng.random() < 0.4)
    lod = float(rng.choice([2e-6, 2e-5]))
    truth.mrd[name] = (
        None if rng.random() < 0.1 else (detected, 10 ** rng.uniform(-5, -3) if detected else 0.0, lod)
    )
    truth.cd34_per_kg[name] = float(rng.integers(2_000_000, 9_000_000))
    truth.plerixafor[name] = bool(rng.random() < 0.3)
    if rng.random() < 0.1:
        truth.stopped[name] = "TOXICITY"
        truth.levels[name]["MAINTENANCE"] = truth.levels[name]["CONSOLIDATION"]  # the next phase is not begun
    route = ("IV", "SC")[int(rng.integers(2))]
    for phase in ("INDUCTION", "CONSOLIDATION"):
        for term in ("neutropenia", "neuropathy"):
            if rng.random() < 0.5:
                truth.events.append((name, phase, term, int(rng.integers(1, 5)), route))


def _lesions(name: str, number: int) -> Iterable[Sequence[str]]:
    """Every fifth patient has the one, every second the other; the last of ten was not assessed."""
    for lesion, step in (("t(4;14)", 5), ("gain(1q)", 2)):
        found = "NOT_EVALUABLE" if number % 10 == 9 else "POSITIVE" if number % step == 0 else "NEGATIVE"
        yield name, lesion, found


def _labs(name: str, truth: Truth, visits: int) -> Iterable[Sequence[str]]:
    rows = [("isotype", "IgG-K", ""), ("treatment_start", "DRD", ""), ("serum_m_protein", "4.0", "g/dL")]
    rows += [
        ("urine_m_protein_24h", "50", "mg/24h"),
        ("flc_kappa", "300", "mg/L"),
        ("flc_lambda", "10", "mg/L"),
    ]
    rows += [("serum_ife", "POS", ""), ("bm_plasma_cell_percent", "40", "%")]
    yield from ((name, _iso(0), test, value, unit, f"{name}:0:{test}") for test, value, unit in rows)
    end = truth.progression_day[name] or truth.last_day[name] + 1
    for day in range(VISIT_DAYS, VISIT_DAYS * visits, VISIT_DAYS):
        if day >= end:
            return
        phase = [p for p, start in PHASES.items() if start < day][-1]
        for test, value, unit in _visit(truth.levels[name][phase]):
            yield name, _iso(day), test, value, unit, f"{name}:{day}:{test}"


def _visit(level: str) -> list[tuple[str, str, str]]:
    complete = level in ("CR", "sCR")
    return [
        ("serum_m_protein", f"{4 * _SHARE_OF_M_PROTEIN[level]:.2f}", "g/dL"),
        ("urine_m_protein_24h", "0", "mg/24h"),
        ("serum_ife", "NEG" if complete else "POS", ""),
        ("urine_ife", "NEG", ""),
        ("flc_kappa", "10" if level == "sCR" else "50", "mg/L"),
        ("flc_lambda", "10", "mg/L"),
        ("bm_plasma_cell_percent", "2" if complete else "8", "%"),
        ("bm_clonal", "NO" if level == "sCR" else "YES", ""),
    ]


def _baseline(name: str, truth: Truth) -> Sequence[str]:
    return name, "63", "F", f"{truth.weights_kg[name]:g}", "IgG-K", _iso(0), truth.arms[name]


def _treatment(name: str, truth: Truth) -> Iterable[Sequence[str]]:
    route = next((r for n, _, _, _, r in truth.events if n == name), "SC")
    for phase, start in PHASES.items():
        if phase in ("HARVEST", "ASCT"):
            yield (
                name,
                phase,
                "1",
                "melphalan" if phase == "ASCT" else "g-csf",
                "IV",
                "",
                "",
                _iso(start),
                _iso(start),
                "",
            )
            continue
        stops = phase == "CONSOLIDATION" and name in truth.stopped
        for course in range(1, 5):
            first = start + 28 * (course - 1)
            reason = truth.stopped[name] if stops and course == 4 else ""
            days = (_iso(first), _iso(first + 27))
            yield name, phase, str(course), "daratumumab", route, "1800", "mg", *days, reason
        if stops:
            return


def _mrd(name: str, truth: Truth) -> Sequence[str] | None:
    result = truth.mrd[name]
    if result is None:
        return None
    detected, value, lod = result
    status = "DETECTED" if detected else "NOT_DETECTED"
    return name, "CONS", _iso(358), "bone_marrow", "ngs", "", "clone", f"{value:.6g}", f"{lod:g}", status
