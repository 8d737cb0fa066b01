"""A flow result for people: what was counted, what it means, what it does not say."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mrd_flow.call import FlowCalls
from mrd_flow.evidence import Classification, FlowEvidence
from mrd_flow.numbers import Numbers
from mrd_flow.result_document import reading_in_words
from mrd_flow.statements import (
    clone_statement,
    dilution_statement,
    expectation_statements,
    light_chain_statement,
)
from pipeline.detection import Interval
from pipeline.model import MrdResult, format_fraction

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["show_result"]


def show_result(
    console: "Console",
    evidence: FlowEvidence,
    calls: FlowCalls,
    *,
    threshold: float,
    automatic: FlowCalls | None = None,
    written: Sequence[Path] = (),
) -> None:
    """Print one sample's result.

    Parameters
    ----------
    console
        Where to.
    evidence, calls
        Of this sample alone.
    threshold
        Fraction at which the result is read.
    automatic
        The result without the analyst's overrides, where there are any.
    written
        Files that were written.
    """
    result, numbers = calls.results[0], calls.numbers[0]
    console.print(_tubes(evidence))
    reason = str(result.reason).replace("_", " ")
    console.print(f"[bold]{result.status}[/] ({reason}); {reading_in_words(result, threshold)}")
    lines = [*_lines(result, numbers), *_classified(evidence.classification, numbers)]
    lines.append(("hemodilution", dilution_statement(calls.dilutions[0], result)))
    if automatic is not None:
        before = automatic.results[0]
        value = format_fraction(before.value) or "no value"
        lines.append(("without the overrides", f"{before.status}, {before.numerator:g} aberrant, {value}"))
    lines += [(f"flag {flag.code}", flag.text) for flag in calls.flags]
    lines += [("written to", str(path)) for path in written]
    console.print(_listed(lines))
    console.print("research use, not for diagnosis")


def _listed(lines: Sequence[tuple[str, str]]) -> "Table":
    """Label and text side by side, long texts wrapped under themselves."""
    from rich.markup import escape
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in lines:
        table.add_row(escape(label), escape(text))
    return table


def _tubes(evidence: FlowEvidence) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for name in ("tube", "events", "removed", "nucleated cells", "plasma cells", "aberrant"):
        table.add_column(name, justify="left" if name == "tube" else "right")
    for tube in evidence.tubes:
        removed = "" if tube.acquisition is None else f"{tube.acquisition.removed:,}"
        counts = [f"{c:,}" for c in (tube.nucleated, tube.plasma_cells, tube.aberrant)]
        table.add_row(escape(f"{tube.tube} {tube.name}"), f"{tube.events:,}", removed, *counts)
    return table


def _lines(result: MrdResult, numbers: Numbers) -> list[tuple[str, str]]:
    lines = []
    fraction = numbers.fraction
    if result.value is not None and fraction is not None:
        quantity = str(numbers.quantity).replace("_", " ")
        counted = f"{numbers.aberrant} of {numbers.nucleated:,} nucleated cells, {quantity}"
        lines.append(("aberrant plasma cells", f"{format_fraction(result.value)} ({counted})"))
        lines.append(("95 % interval", f"{_span(fraction.reported)} with the classifier's error"))
        plain = f"exact {_span(fraction.exact)}, Wilson {_span(fraction.wilson)}"
        lines.append(("- of the count alone", plain))
        error = fraction.error
        if error.false_events or error.recall < 1:
            text = (
                f"{format_fraction(fraction.corrected_value)} ({_span(fraction.corrected)}): "
                f"{error.false_events:.1f} false events and {1 - error.recall:.0%} missed cells expected"
            )
            lines.append(("- corrected", text))
    if numbers.lod_95 is not None and result.lod is not None:
        lines.append(("95 % limit of detection", format_fraction(numbers.lod_95)))
        thresholds = (
            f"{format_fraction(numbers.lod_threshold)} detected ({numbers.decision_count} events), "
            f"{format_fraction(numbers.loq_threshold) or 'none'} quantified ({numbers.loq_count} events)"
        )
        lines.append(("decision thresholds", thresholds))
    lines.append(("the limit rests on", result.lod_basis))
    return lines


def _classified(found: Classification | None, numbers: Numbers) -> list[tuple[str, str]]:
    """The clone, what calls of its phenotype are worth, and its light chains."""
    if found is None:
        return []
    lines = [("clone", clone_statement(found))]
    if found.origin:
        size = f"{found.estimated_events:.0f} +- {found.estimated_events_sd:.0f} cells by the mixture"
        lines.append(("- evidence", f"{found.evidence:.1f} (log ratio against none), {size}"))
    lines += [(f"- {phenotype}", text) for phenotype, text in expectation_statements(found, numbers)]
    if found.clonality is None:
        lines.append(("light chains", "not stained"))
    elif found.origin:
        lines.append(("light chains", light_chain_statement(found.clonality)))
    return lines


def _span(interval: Interval) -> str:
    return f"{format_fraction(interval.low)} to {format_fraction(interval.high)}"
