"""One result as the tables show it: every field as the text that stands in its cell."""

from dataclasses import dataclass

from pipeline.detection import Call, Reading, read_at
from pipeline.model import MrdResult, Status, format_fraction
from pipeline.report.data import ReportData, method_order
from pipeline.report.wording import Wording, format_count, format_threshold

__all__ = ["CallCell", "MethodStyle", "ResultRow", "method_styles", "result_rows"]

SHAPES = ("square", "diamond", "circle", "triangle", "pentagon", "cross")


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodStyle:
    """How a method is told from the others: by name, place, colour and shape of its signs."""

    method: str
    label: str
    number: int

    @property
    def shape(self) -> str:
        """Name of the sign's shape."""
        return SHAPES[self.number % len(SHAPES)]

    @property
    def colour(self) -> str:
        """Class of the style sheet that gives its colour."""
        return f"m{self.number % len(SHAPES)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCell:
    """A reading at one threshold in code, phrase and sentence."""

    reading: Reading
    threshold: str
    code: str
    phrase: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """The texts of one result. ``bound`` marks a value shown as an upper bound.

    ``validated`` names the limits the assay was validated with, empty where none are known.
    """

    result: MrdResult
    style: MethodStyle
    visit: int
    visit_label: str
    target: str
    material: str
    status: str
    value: str
    bound: bool
    interval: str
    lod: str
    loq: str
    validated: str
    calls: tuple[CallCell, ...]
    counted: str
    examined: str
    examined_unit: str
    reason_phrase: str
    reason: str
    headline: str

    @property
    def evaluable(self) -> bool:
        """Whether the threshold, and not the result itself, decides how it reads."""
        return self.result.status in (Status.DETECTED, Status.NOT_DETECTED)


def method_styles(results: tuple[MrdResult, ...], wording: Wording) -> dict[str, MethodStyle]:
    """The style of every method of a study, the same on all of its pages."""
    names = {r.method: wording.method(r.assay, r.panel) for r in results}
    return {
        method: MethodStyle(method=method, label=names[method], number=i)
        for i, method in enumerate(method_order(results))
    }


def result_rows(data: ReportData, wording: Wording) -> tuple[ResultRow, ...]:
    """All results as rows, by patient, time point, date, method and target."""
    styles = method_styles(data.results, wording)
    visits = {code: (i, data.timepoint_label(code)) for i, code in enumerate(data.timepoint_codes)}
    return tuple(
        _row(result, styles[result.method], *visits[result.timepoint], data, wording)
        for result in data.ordered_results
    )


def _row(
    result: MrdResult,
    style: MethodStyle,
    visit: int,
    label: str,
    data: ReportData,
    wording: Wording,
) -> ResultRow:
    calls = tuple(_call(result, read_at(result, c), wording) for c in data.thresholds)
    bound = result.status is Status.NOT_DETECTED
    return ResultRow(
        result=result,
        style=style,
        visit=visit,
        visit_label=label,
        target=wording.target(result.target_id),
        material=str(wording.texts["material"][result.material.value]),
        status=str(wording.texts["status"][result.status.value]),
        value=f"< {format_fraction(result.lod)}" if bound else format_fraction(result.value),
        bound=bound,
        interval=_interval(result, wording),
        lod=format_fraction(result.lod),
        loq=format_fraction(result.loq),
        validated=_validated(result, data, wording),
        calls=calls,
        counted=format_count(result.numerator),
        examined=format_count(result.denominator),
        examined_unit=str(wording.texts["unit"][result.denominator_unit.value]),
        reason_phrase=wording.reason_phrase(result.reason),
        reason=wording.reason_sentence(result.reason),
        headline=wording.headline(result, below_loq=calls[0].reading.below_loq),
    )


def _interval(result: MrdResult, wording: Wording) -> str:
    """The interval; a bound is not a value, so its estimate stands beside it."""
    if result.value is None:
        return ""
    low, high = format_fraction(result.ci_low), format_fraction(result.ci_high)
    if result.status is Status.NOT_DETECTED:
        text = str(wording.texts["columns"]["estimate"])
        return text.format(value=format_fraction(result.value), low=low, high=high)
    return f"{low} – {high}"


def _validated(result: MrdResult, data: ReportData, wording: Wording) -> str:
    """The assay's own limits; the sample's limit of detection stands beside them and decides."""
    known = next((v for v in data.validated if v.method == result.method), None)
    if known is None:
        return ""
    text = str(wording.texts["columns"]["validated"])
    return text.format(lod=format_fraction(known.lod), loq=format_fraction(known.loq), study=known.study)


def _call(result: MrdResult, reading: Reading, wording: Wording) -> CallCell:
    return CallCell(
        reading=reading,
        threshold=format_threshold(reading.threshold),
        code=reading.call.value,
        phrase=wording.reading_phrase(reading, result),
        sentence=wording.reading_sentence(reading),
    )


def worst_call(codes: list[str]) -> str:
    """One sign for several targets: POS if any is, else IND if any is, else NEG."""
    for call in (Call.POSITIVE, Call.INDETERMINATE):
        if call.value in codes:
            return call.value
    return Call.NEGATIVE.value
