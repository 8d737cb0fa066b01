"""Write the report: one page for the cohort, one a patient, and both as JSON.

A page needs nothing but itself: style and script stand in it, and its
content-security policy names their hashes, so that nothing else can run or be fetched
whatever a file name or a comment in the data holds. Same data, same bytes: no clock, no
randomness.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.formats.atomic import canonical_json, write_text
from pipeline.model import is_identifier
from pipeline.report.cohort import cohort_json, cohort_page
from pipeline.report.data import ReportData
from pipeline.report.environment import our_markup, page_environment
from pipeline.report.patient import patient_json, patient_page
from pipeline.report.rows import ResultRow, result_rows
from pipeline.report.wording import load_wording

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["write_report"]

# Where JSON is put into a page by somebody else, these would end a script or a string.
_UNSAFE_IN_JSON = re.compile("[<>&\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def write_report(data: ReportData, out: Path) -> tuple[Path, ...]:
    """Write the pages of a study.

    Parameters
    ----------
    data
        What was found; see `ReportData`.
    out
        Folder of the report; made if missing. Pages of patients that are no longer
        part of ``data`` are left as they are.

    Returns
    -------
    tuple of Path
        What was written: ``index.html`` first, then ``cohort.json``, then
        ``patients/ID.html`` and ``patients/ID.json`` of every patient.
    """
    wording = load_wording()
    environment = page_environment(wording)
    rows = result_rows(data, wording)
    out = Path(out)
    by_patient: dict[str, list[ResultRow]] = {p: [] for p in data.patients}
    for row in rows:
        by_patient[row.result.patient_id].append(row)
    written = [out / "index.html", out / "cohort.json"]
    cohort = {"data": data, **cohort_page(data, rows, wording)}
    write_text(written[0], _render(environment, "cohort.html", cohort, mark=data.study_id))
    write_text(written[1], _json(cohort_json(data, rows)))
    neighbours = [None, *data.patients, None]
    for i, (patient, own) in enumerate(by_patient.items()):
        page = {"data": data, "previous": neighbours[i], "next": neighbours[i + 2]}
        page |= patient_page(data, patient, own, wording)
        written += [_patient_path(out, patient, "html"), _patient_path(out, patient, "json")]
        mark = f"{data.study_id} · {patient}"
        write_text(written[-2], _render(environment, "patient.html", page, mark=mark))
        write_text(written[-1], _json(patient_json(data, patient, own)))
    return tuple(written)


def _patient_path(out: Path, patient_id: str, suffix: str) -> Path:
    if not is_identifier(patient_id):
        raise ValueError("a patient_id is not an identifier")
    return out / "patients" / f"{patient_id}.{suffix}"


def _render(environment: "Environment", template: str, page: Mapping[str, Any], *, mark: str) -> str:
    """A page; ``mark`` stands at the head of every printed sheet.

    Style and script are rendered first: the policy in the page's head names their hashes.
    """
    style = environment.get_template("page.css").render(mark=mark)
    script = environment.get_template("cohort.js").render() if template == "cohort.html" else ""
    return environment.get_template(template).render(
        page, style=our_markup(style), script=our_markup(script), policy=_policy(style, script)
    )


def _policy(style: str, script: str) -> str:
    """A content-security policy under which only this style and this script act."""
    scripts = f"script-src {_source(script)}; " if script else ""
    return f"default-src 'none'; style-src {_source(style)}; {scripts}base-uri 'none'; form-action 'none'"


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(value: Any) -> str:
    r"""Canonical JSON that stays inert inside a page and can always be encoded."""
    return _UNSAFE_IN_JSON.sub(lambda m: f"\\u{ord(m.group()):04x}", canonical_json(value))
