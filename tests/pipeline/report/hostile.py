"""Texts that would do harm in a page that takes them for markup, and a report full of them."""

from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import cycle
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


def filled(record: Any, texts: Iterator[str], keep: set[str]) -> Any:
    """The record with every free text replaced by the next of ``texts``."""
    names = [f.name for f in fields(record) if isinstance(getattr(record, f.name), str)]
    return replace(record, **{name: next(texts) for name in names if name not in keep})


def hostile_report(data: ReportData, *hostile: str) -> ReportData:
    """``data`` with the texts of ``hostile`` in turn wherever a free text can stand."""
    texts = cycle(hostile)

    def result(one: MrdResult) -> MrdResult:
        # Only one method's panel, so that two never become one and their order stays.
        keep = CODED if one.assay is Assay.NGS else CODED | {"panel"}
        return filled(one, texts, keep)

    own = {"patient_id"}
    return ReportData(
        study_id=data.study_id,
        title=next(texts),
        timepoints=tuple(TimepointLabel(code=t.code, label=next(texts)) for t in data.timepoints),
        thresholds=data.thresholds,
        results=tuple(result(r) for r in data.results),
        markers=tuple(filled(m, texts, own) for m in data.markers),
        gates=tuple(filled(g, texts, own) for g in data.gates),
        provenance=Provenance(
            version=next(texts),
            config_sha256=next(texts),
            plan_sha256=next(texts),
            inputs=tuple(
                InputFile(patient_id=i.patient_id, name=next(texts), sha256=next(texts))
                for i in data.provenance.inputs
            ),
        ),
        notes=(next(texts),),
        patient_notes=tuple(PatientNote(patient_id=p, text=next(texts)) for p in data.patients),
        unverified=(next(texts),),
    )
