"""The reports that these tests look at, written once a session; none of them is changed.

`trial.py` and `hostile.py` are registered as ``report_trial`` and ``report_hostile``: a
folder of tests named like the package under test cannot be imported by its own name.
"""

import sys
import time
from dataclasses import dataclass, replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

for _name in ("trial", "hostile"):
    _spec = spec_from_file_location(f"report_{_name}", Path(__file__).with_name(f"{_name}.py"))
    assert _spec is not None
    assert _spec.loader is not None
    _module = module_from_spec(_spec)
    sys.modules[_spec.name] = _module
    _spec.loader.exec_module(_module)


@pytest.fixture(scope="session")
def small_report(tmp_path_factory) -> Path:
    """Four patients, with notes and an unverified default."""
    from report_trial import trial, with_troubles

    from pipeline.report import write_report

    out = tmp_path_factory.mktemp("report")
    write_report(with_troubles(trial()), out)
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeTrial:
    """172 patients with seven visits each, where their report lies, and the CPU seconds it took."""

    out: Path
    written: tuple[Path, ...]
    spent: float


@pytest.fixture(scope="session")
def whole_trial(tmp_path_factory) -> WholeTrial:
    from report_trial import SEVEN, trial

    from pipeline.concordance import comparison_rows, comparisons
    from pipeline.report import write_report

    data = trial(172, visits=SEVEN)
    compared = comparisons(data.results)
    rows = comparison_rows(compared[0], data.thresholds)
    data = replace(data, compared=compared, comparisons=rows)
    assert len(data.results) == 172 * 7 * 3
    out = tmp_path_factory.mktemp("whole_trial")
    start = time.process_time()
    written = write_report(data, out)
    return WholeTrial(out=out, written=written, spent=time.process_time() - start)


@pytest.fixture(scope="session")
def hostile_reports(tmp_path_factory) -> tuple[Path, ...]:
    """A report of two patients for each hostile text."""
    from report_hostile import HOSTILE, hostile_report
    from report_trial import trial

    from pipeline.report import write_report

    folders = tuple(tmp_path_factory.mktemp("hostile") for _ in HOSTILE)
    for folder, text in zip(folders, HOSTILE, strict=True):
        write_report(hostile_report(trial(2), text), folder)
    return folders
