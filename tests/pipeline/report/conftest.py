"""The reports that these tests look at, written once.

`trial.py` and `hostile.py` are registered as ``report_trial`` and ``report_hostile``: a
folder of tests named like the package under test cannot be imported by its own name.
"""

import sys
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
