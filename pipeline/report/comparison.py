"""How far two methods agree, as the pages show it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.concordance import Comparison, ComparisonRow, PairRow
from pipeline.model import Assay, Material, format_fraction
from pipeline.report.data import ReportData
from pipeline.report.wording import Wording

__all__ = [
    "ComparedMethods",
    "ComparedPair",
    "compared_methods",
    "compared_pairs",
    "materials_label",
    "method_label",
]

_AT_THRESHOLD = "at_threshold"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedMethods:
    """One comparison at the headline threshold; every text as it stands in its cell.

    ``cells`` are both positive, x only, y only, both negative; ``indeterminate`` pairs are in
    none of them. ``shares`` and ``values`` are (name, number with interval or reason).
    """

    x: str
    y: str
    material: str
    pairs: int
    cells: tuple[int, int, int, int]
    indeterminate: int
    shares: tuple[tuple[str, str], ...]
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedPair:
    """Two methods on one sample of a patient."""

    timepoint: str
    x: str
    y: str
    x_value: str
    y_value: str
    x_call: str
    y_call: str
    note: str


def compared_methods(data: ReportData, wording: Wording) -> list[ComparedMethods]:
    """Every comparison of the batch at the headline threshold."""
    by_pair: dict[tuple[str, str, Material, Material], list[ComparisonRow]] = {}
    for row in data.comparisons:
        by_pair.setdefault((row.x, row.y, row.x_material, row.y_material), []).append(row)
    return [_compared(rows, data.thresholds[0], wording) for rows in by_pair.values()]


def compared_pairs(data: ReportData, patient_id: str, wording: Wording) -> list[ComparedPair]:
    """Pairs of one patient in the order of the visits."""
    rank = {code: i for i, code in enumerate(data.timepoint_codes)}
    own = [p for p in data.pairs if p.patient_id == patient_id]
    return [
        _pair(p, wording) for p in sorted(own, key=lambda p: (rank.get(p.timepoint, len(rank)), p.x, p.y))
    ]


def method_label(method: str, wording: Wording) -> str:
    """The name for people of a method ``assay`` or ``assay:panel``."""
    assay, _, panel = method.partition(":")
    return wording.method(Assay(assay), panel)


def _compared(rows: Sequence[ComparisonRow], threshold: float, wording: Wording) -> ComparedMethods:
    first = rows[0]
    at = {
        (r.population, r.parameter): r for r in rows if r.threshold == threshold and r.method == _AT_THRESHOLD
    }
    values = {(r.method, r.parameter): r for r in rows if r.threshold is None}
    everyone = at["all_pairs", "ind_pairs"]
    names = ("both_pos", "x_only", "y_only", "both_neg")
    cells = [int(at["evaluable_pairs", name].estimate or 0) for name in names]
    texts = wording.texts["comparison"]
    evaluable = {name: row for (population, name), row in at.items() if population == "evaluable_pairs"}
    shares = [(texts[key], _share(_over_patients(evaluable, key))) for key in ("opa", "ppa", "npa")]
    shares += [(texts[key], _plain(_over_patients(evaluable, key))) for key in ("kappa", "pabak")]
    shares += [
        (texts[key], _share(evaluable[key])) for key in ("expected_discordance", "observed_minus_expected")
    ]
    wanted = (("passing_bablok", "slope"), ("censored_mle", "rho"), ("censored_mle", "bias_log10"))
    return ComparedMethods(
        x=method_label(first.x, wording),
        y=method_label(first.y, wording),
        material=materials_label(first, wording),
        pairs=everyone.n,
        cells=(cells[0], cells[1], cells[2], cells[3]),
        indeterminate=int(everyone.estimate or 0),
        shares=tuple(shares),
        values=tuple((texts["_".join(key)], _plain(values[key])) for key in wanted if key in values),
    )


def _over_patients(rows: Mapping[str, ComparisonRow], parameter: str) -> ComparisonRow:
    """The interval over patients where there is one: pairs of one patient are not independent."""
    clustered = rows.get(f"{parameter}_clustered")
    return rows[parameter] if clustered is None or clustered.estimate is None else clustered


def materials_label(row: ComparisonRow | Comparison, wording: Wording) -> str:
    """The material of both methods, or the two."""
    names = [str(wording.texts["material"][m.value]) for m in (row.x_material, row.y_material)]
    return " / ".join(dict.fromkeys(names))


def _share(row: ComparisonRow) -> str:
    """A share in per cent with its interval, or why there is none."""
    if row.estimate is None:
        return row.reason
    text = f"{100 * row.estimate:.1f} %"
    if row.ci_low is None or row.ci_high is None:
        return text
    return f"{text} ({100 * row.ci_low:.1f} – {100 * row.ci_high:.1f})"


def _plain(row: ComparisonRow) -> str:
    if row.estimate is None:
        return row.reason
    if row.ci_low is None or row.ci_high is None:
        return f"{row.estimate:.3f}"
    return f"{row.estimate:.3f} ({row.ci_low:.3f} – {row.ci_high:.3f})"


def _pair(pair: PairRow, wording: Wording) -> ComparedPair:
    texts = wording.texts["comparison"]
    same = pair.x_call == pair.y_call
    key = (
        "silent"
        if pair.sampling_compatible is None
        else ("compatible" if pair.sampling_compatible else "apart")
    )
    return ComparedPair(
        timepoint=pair.timepoint,
        x=method_label(pair.x, wording),
        y=method_label(pair.y, wording),
        x_value=_value(pair.x_value, pair.x_lod),
        y_value=_value(pair.y_value, pair.y_lod),
        x_call=pair.x_call,
        y_call=pair.y_call,
        note=str(texts[f"same_{key}" if same else f"differs_{key}"]),
    )


def _value(value: float | None, lod: float | None) -> str:
    return "" if value is None else f"{format_fraction(value)} (LoD {format_fraction(lod)})"
