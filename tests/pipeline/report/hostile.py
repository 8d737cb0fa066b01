"""Texts that would do harm in a page that takes them for markup, and a report full of them."""

from dataclasses import fields, replace
from typing import Any

from pipeline.model import Assay, MrdResult
from pipeline.report import InputFile, PatientNote, Provenance, ReportData, TimepointLabel

HOSTILE = (
    "<script>window.hacked=1</script>",
    "<img src=x onerror='window.hacked=1'>",
    '"><svg onload=window.hacked=1>',
    "'><iframe src=javascript:window.hacked=1>",
    '" onmouseover="window.hacked=1" x="',
    "' onfocus='window.hacked=1' autofocus='",
    "</title><script>window.hacked=1</script>",
    "</style><script>window.hacked=1</script>",
    "</script><script>window.hacked=1</script>",
    "</td></tr></table><form action=//x.invalid><input autofocus onfocus=window.hacked=1>",
    "</text></svg><script>window.hacked=1</script>",
    "<svg><animate onbegin=window.hacked=1 attributeName=x dur=1s>",
    "<![CDATA[<script>window.hacked=1</script>]]>",
    "--><script>window.hacked=1</script><!--",
    "<a href='javascript:window.hacked=1'>x</a>",
    "javascript:window.hacked=1",
    "data:text/html,<script>window.hacked=1</script>",
    "{{ 7 * 7 }}{% for x in y %}{{ self.__init__.__globals__ }}",
    "${window.hacked=1}`'\"\\",
    "&lt;script&gt;window.hacked=1&lt;/script&gt;",
    "<base href='//x.invalid/'><link rel=stylesheet href='//x.invalid/a.css'>",
    "<meta http-equiv=refresh content='0;url=//x.invalid'>",
    "<style>*{display:none}</style>",
    "url(//x.invalid/a) ; } * { color: red",
    "=cmd|' /C calc'!A0",
    "%(value)s {0} {value.__class__} {",
    "\u202egnp.exe\u2066\u200f",
    "\x00\x07\x1b[31m\ud800x\udc80\ufffe",
    "\u2028window.hacked=1\u2029//",
    "x" * 4000,
    "<" * 500,
)  # fmt: skip

# Texts of a result that are checked or coded, and so cannot hold anything hostile.
CODED = {"study_id", "patient_id", "timepoint", "material", "assay", "status", "reason", "denominator_unit"}


def filled(record: Any, text: str, keep: set[str]) -> Any:
    """The record with every free text replaced."""
    names = {f.name for f in fields(record) if isinstance(getattr(record, f.name), str)} - keep
    return replace(record, **dict.fromkeys(names, text))


def hostile_report(data: ReportData, text: str) -> ReportData:
    """``data`` with ``text`` wherever a free text can stand."""

    def result(one: MrdResult) -> MrdResult:
        # Only one method's panel, so that two never become one and their order stays.
        keep = CODED if one.assay is Assay.NGS else CODED | {"panel"}
        return filled(one, text, keep)

    own = {"patient_id"}
    return ReportData(
        study_id=data.study_id,
        title=text,
        timepoints=tuple(TimepointLabel(code=t.code, label=text) for t in data.timepoints),
        thresholds=data.thresholds,
        results=tuple(result(r) for r in data.results),
        markers=tuple(filled(m, text, own) for m in data.markers),
        gates=tuple(filled(g, text, own) for g in data.gates),
        provenance=Provenance(
            version=text,
            config_sha256=text,
            plan_sha256=text,
            inputs=tuple(
                InputFile(patient_id=i.patient_id, name=text, sha256=text) for i in data.provenance.inputs
            ),
        ),
        notes=(text,),
        patient_notes=tuple(PatientNote(patient_id=p, text=text) for p in data.patients),
        unverified=(text,),
    )
