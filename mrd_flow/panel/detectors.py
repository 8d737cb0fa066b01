"""Which column of a file holds which marker of the panel.

A marker is looked for in $PnS, then in $PnN; only where a detector's $PnS names no
marker of any tube is the fluorochrome taken for it, and that is reported. Whatever
stays open or is ambiguous makes the tube a mismatch: no number is made from a guess.
"""

import re
from dataclasses import dataclass

from mrd_flow.fcs.anomaly import Anomaly
from mrd_flow.fcs.layout import Parameter
from mrd_flow.panel.template import Panel

__all__ = ["Assignment", "assign_detectors"]

_CD = re.compile(r"CD\d+[A-Z]?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Column (0-based) of every scatter parameter and marker; or ``mismatch``, why there is none."""

    columns: dict[str, int]
    mismatch: str
    anomalies: tuple[Anomaly, ...]


def assign_detectors(parameters: tuple[Parameter, ...], panel: Panel, tube: int) -> Assignment:
    """Find the panel's scatter parameters and the markers of one tube (1-based) in a file."""
    columns: dict[str, int] = {}
    missing: list[str] = []
    ambiguous: list[str] = []
    anomalies: list[Anomaly] = []
    for name in panel.scatter:
        _note(
            name,
            [i for i, p in enumerate(parameters) if _plain(p.name) == _plain(name)],
            columns,
            missing,
            ambiguous,
        )
    for marker, fluorochrome in panel.tubes[tube - 1].markers.items():
        found = _named(parameters, panel, marker)
        if not found:
            found = _on_detector(parameters, panel, fluorochrome)
            if len(found) == 1:
                text = f"no parameter names {marker}; the one named after {fluorochrome} is taken for it"
                anomalies.append(Anomaly(code="marker_by_fluorochrome", text=text))
        _note(marker, found, columns, missing, ambiguous)
    problems = []
    if missing:
        problems.append(f"not found: {', '.join(missing)}{_swap_hint(parameters, panel, tube)}")
    if ambiguous:
        problems.append(f"found more than once: {', '.join(ambiguous)}")
    if not problems and len(set(columns.values())) != len(columns):
        problems.append("one parameter would serve two markers")
    problems += _ranges(parameters, panel, columns)
    return Assignment(columns=columns, mismatch="; ".join(problems), anomalies=tuple(anomalies))


def _note(
    name: str, found: list[int], columns: dict[str, int], missing: list[str], ambiguous: list[str]
) -> None:
    if len(found) == 1:
        columns[name] = found[0]
    else:
        (ambiguous if found else missing).append(name)


def _named(parameters: tuple[Parameter, ...], panel: Panel, marker: str) -> list[int]:
    """Columns whose $PnS names the marker; failing that, whose $PnN does."""
    names = {_plain(n) for n in (marker, *panel.aliases.get(marker, ()))}
    by_stain = [i for i, p in enumerate(parameters) if names & _words(p.stain)]
    if by_stain:
        return by_stain
    return [i for i, p in enumerate(parameters) if names & _words(p.name) and not _known(p.stain, panel)]


def _on_detector(parameters: tuple[Parameter, ...], panel: Panel, fluorochrome: str) -> list[int]:
    wanted = _plain(fluorochrome)
    return [
        i
        for i, p in enumerate(parameters)
        if _plain(re.sub(r"-A$", "", p.name)) == wanted
        and not _known(p.stain, panel)
        and not _known(p.name, panel)
    ]


def _known(text: str, panel: Panel) -> bool:
    """Whether a label names some antigen: another tube's marker, or any CD number."""
    words = _words(text)
    markers = {m for t in panel.tubes for m in t.markers}
    names = {_plain(n) for m in markers for n in (m, *panel.aliases.get(m, ()))}
    return bool(words & names) or any(_CD.fullmatch(w) for w in words)


def _words(text: str) -> set[str]:
    """The whole label, and its parts at spaces, commas, slashes and underscores, without hyphens.

    >>> sorted(_words("CD38 FITC-A"))
    ['CD38', 'CD38FITCA', 'FITCA']
    """
    parts = [text, *re.split(r"[\s,/_:;()]+", text)]
    return {_plain(p) for p in parts if _plain(p)}


def _plain(text: str) -> str:
    greek = text.replace("κ", "kappa").replace("λ", "lambda")
    return re.sub(r"[^A-Z0-9.]", "", greek.upper())


def _swap_hint(parameters: tuple[Parameter, ...], panel: Panel, tube: int) -> str:
    for number, other in enumerate(panel.tubes, start=1):
        if number != tube and all(_named(parameters, panel, m) for m in other.markers):
            return f" (the file has the markers of tube {number}: are the tubes in another order?)"
    return ""


def _ranges(parameters: tuple[Parameter, ...], panel: Panel, columns: dict[str, int]) -> list[str]:
    """Fixed boundaries mean nothing on a scale of another length."""
    odd = [n for n, c in columns.items() if not 0.5 <= parameters[c].range / panel.range <= 2.0]
    if not odd:
        return []
    return [f"the range ($PnR) of {', '.join(odd)} is not the template's {panel.range:g}"]
