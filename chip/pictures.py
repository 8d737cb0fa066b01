"""Pictures: where in a gene its variants stand, and a cohort's oncoprint."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chip.rules.change import Change, Kind, parse_change
from chip.rules.genes import gene_named, symbol
from pipeline.report.figure_style import INK, LINE, SERIES, SOFT, WASH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import FuncFormatter

__all__ = ["Mark", "lollipop", "oncoprint"]

_COLOURS = {
    Kind.MISSENSE: SERIES[2],
    Kind.NONSENSE: SERIES[0],
    Kind.FRAMESHIFT: SERIES[3],
    Kind.INFRAME: SERIES[5],
    Kind.SPLICE: SERIES[1],
}
_WORDS = {
    Kind.MISSENSE: "missense",
    Kind.NONSENSE: "nonsense",
    Kind.FRAMESHIFT: "frameshift",
    Kind.INFRAME: "in-frame",
    Kind.SPLICE: "splice site",
}
_OTHER = SERIES[4]
_NAMED_PATIENTS_MAX = 60
_DECIDED = {"POS": (INK, INK), "NEG": (SOFT, "white")}  # edge and face
_UNDECIDED = (LINE, LINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One variant of a picture; ``change`` is its p. name or, with ``c.`` before it, its c. name."""

    patient_id: str
    gene: str
    change: str
    verdict: str
    vaf: float | None

    @property
    def parsed(self) -> Change:
        """What it does to the protein, and where."""
        is_coding = self.change.startswith("c.")
        return parse_change(self.gene, "" if is_coding else self.change, self.change if is_coding else "")

    @property
    def residue(self) -> float | None:
        """Where it stands on the protein; of a splice site the codon beside it."""
        start = self.parsed.aa_start
        if start is not None:
            return float(start)
        place = re.match(r"c\.(\d+)", self.change)
        return None if place is None else (int(place[1]) + 2) / 3

    @property
    def colour(self) -> str:
        """By what it does to the protein."""
        return _COLOURS.get(self.parsed.kind, _OTHER)

    @property
    def face(self) -> str:
        """Filled where it is IN, hollow where it is to be looked at."""
        return self.colour if self.verdict == "IN" else "white"


def lollipop(gene: str, marks: Sequence[Mark], windows: Sequence[tuple[int, int]] = ()) -> "Figure":
    """Variants of a gene along its protein, as high as their fraction; call in `house_style`.

    Parameters
    ----------
    gene
        Any of its names.
    marks
        Its variants; splice sites stand at the codon of their exon's last or first base.
    windows
        Residues that rules name as stretches, drawn on the protein.

    Raises
    ------
    ValueError
        If the gene's protein is not known here.
    """
    from matplotlib.figure import Figure

    known = gene_named(gene)
    if known is None or known.protein is None:
        raise ValueError("the gene's protein is not known here")
    length = len(known.protein)
    figure = Figure(figsize=(7.2, 2.6), layout="constrained")
    axes = figure.add_subplot()
    top = max([m.vaf for m in marks if m.vaf is not None] + [0.02]) * 1.35
    bar = top * 0.06
    axes.add_patch(_box(1, -2 * bar, length - 1, bar, LINE))
    for start, end in windows:
        axes.add_patch(_box(start, -2 * bar, max(end - start, length / 200), bar, SOFT))
    axes.set_xlim(-length * 0.01, length * 1.01)
    axes.set_ylim(-2.6 * bar, top)
    _draw_marks(axes, marks, length, top)
    axes.set_ylabel("VAF")
    axes.yaxis.set_major_formatter(_percent())
    axes.set_xlabel(f"{known.symbol}, residue of {length}")
    _legend(axes, marks)
    return figure


def _draw_marks(axes: "Axes", marks: Sequence[Mark], length: int, top: float) -> None:
    """Stems and heads; each change is named once, where no higher name is near."""
    named: dict[str, tuple[float, float]] = {}
    for mark in sorted(marks, key=lambda m: (-(m.vaf or 0), m.change)):
        at = mark.residue
        if at is None:
            continue
        height = mark.vaf if mark.vaf is not None else top * 0.05
        axes.plot([at, at], [0, height], color=SOFT, linewidth=0.8, zorder=1)
        axes.plot([at], [height], "o", color=mark.colour, markerfacecolor=mark.face, markersize=6, zorder=2)
        near = any(abs(at - x) <= length / 12 and abs(height - y) <= top / 8 for x, y in named.values())
        if mark.change not in named and not near:
            axes.text(at, height + top / 20, mark.change, fontsize=7, ha="center", va="bottom", color=INK)
            named[mark.change] = (at, height)


def oncoprint(marks: Sequence[Mark], patients: Sequence[str], decided: Mapping[str, str]) -> "Figure":
    """Genes by patients: the most frequent gene above, patients by the genes they have.

    Parameters
    ----------
    marks
        IN and REVIEW variants; of several in one cell the largest is drawn, with a dot.
    patients
        All patients, also those without any.
    decided
        POS, NEG or IND at the CHIP threshold by patient: the row below.
    """
    from matplotlib.figure import Figure

    genes = _genes_by_frequency(marks)
    columns = _columns_in_order(genes, marks, patients)
    size = (3.6 + 0.17 * len(columns), 1.5 + 0.24 * (len(genes) + 1))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    by_cell: dict[tuple[str, str], list[Mark]] = {}
    for mark in marks:
        by_cell.setdefault((mark.patient_id, symbol(mark.gene)), []).append(mark)
    for x, patient in enumerate(columns):
        for y, gene in enumerate(genes):
            _draw_cell(axes, x, y, by_cell.get((patient, gene), []))
        edge, face = _DECIDED.get(decided.get(patient, ""), _UNDECIDED)
        axes.add_patch(_box(x + 0.08, len(genes) + 0.3, 0.84, 0.5, face, edge=edge))
    _label(axes, genes, columns, [_share(gene, marks, len(patients)) for gene in genes])
    _legend(axes, marks, of_cohort=True)
    return figure


def _label(axes: "Axes", genes: Sequence[str], columns: Sequence[str], shares: Sequence[str]) -> None:
    rows = [y + 0.5 for y in range(len(genes))]
    axes.set_yticks([*rows, len(genes) + 0.55], [*shares, "at the threshold"])
    names = columns if len(columns) <= _NAMED_PATIENTS_MAX else [""] * len(columns)
    axes.set_xticks([x + 0.5 for x in range(len(columns))], names, rotation=90)
    axes.set_xlim(0, max(1, len(columns)))
    axes.set_ylim(len(genes) + 1, 0)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _share(gene: str, marks: Sequence[Mark], patients: int) -> str:
    carriers = len({m.patient_id for m in marks if symbol(m.gene) == gene})
    return f"{gene}  {100 * carriers / max(1, patients):.0f} %"


def _genes_by_frequency(marks: Sequence[Mark]) -> list[str]:
    patients: dict[str, set[str]] = {}
    for mark in marks:
        patients.setdefault(symbol(mark.gene), set()).add(mark.patient_id)
    return sorted(patients, key=lambda gene: (-len(patients[gene]), gene))


def _columns_in_order(genes: Sequence[str], marks: Sequence[Mark], patients: Sequence[str]) -> list[str]:
    has = {(m.patient_id, symbol(m.gene)) for m in marks}
    return sorted(patients, key=lambda p: (tuple((p, gene) not in has for gene in genes), p))


def _draw_cell(axes: "Axes", x: int, y: int, marks: Sequence[Mark]) -> None:
    axes.add_patch(_box(x + 0.08, y + 0.08, 0.84, 0.84, WASH))
    if not marks:
        return
    largest = max(marks, key=lambda m: m.vaf or 0)
    axes.add_patch(_box(x + 0.12, y + 0.12, 0.76, 0.76, largest.face, edge=largest.colour))
    if len(marks) > 1:
        dot = "white" if largest.verdict == "IN" else INK
        axes.plot([x + 0.5], [y + 0.5], ".", color=dot, markersize=4)


def _box(x: float, y: float, width: float, height: float, face: str, *, edge: str = "none") -> "Rectangle":
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, facecolor=face, edgecolor=edge, linewidth=1.0)


def _percent() -> "FuncFormatter":
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: f"{100 * value:g} %")


def _legend(axes: "Axes", marks: Sequence[Mark], *, of_cohort: bool = False) -> None:
    """What colours and hollow marks mean, of those that are drawn."""
    from matplotlib.lines import Line2D

    kinds = {m.parsed.kind for m in marks}
    entries = [(_COLOURS[kind], _COLOURS[kind], _WORDS[kind]) for kind in _WORDS if kind in kinds]
    if any(m.verdict == "REVIEW" for m in marks):
        entries.append((INK, "white", "to be looked at"))
    if of_cohort:
        words = ("CH at the threshold", "none there", "undecided")
        colours = (_DECIDED["POS"], _DECIDED["NEG"], _UNDECIDED)
        entries += [(*pair, word) for pair, word in zip(colours, words, strict=True)]
    handles = [
        Line2D([], [], marker="s" if of_cohort else "o", linestyle="", color=c, markerfacecolor=f, label=word)
        for c, f, word in entries
    ]
    if handles:
        axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.02, 0.5))
