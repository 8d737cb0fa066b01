"""What a reader of a flow result must know: codes and sentences, and which of them forbid a call."""

from collections.abc import Sequence
from dataclasses import dataclass

from mrd_flow.evidence import FlowEvidence, FlowSettings, TubeEvidence
from mrd_flow.hemodilution import DilutionVerdict, Hemodilution
from mrd_flow.numbers import Numbers
from mrd_flow.tubes import population_shares, tube_agreement
from pipeline.model import format_fraction

__all__ = ["Flag", "contradiction", "failures", "flags_of"]

# A marrow without any plasma cell among so many nucleated cells points to a failed stain or
# to CD38 hidden by a therapeutic antibody; "not detected" would then be false. Both numbers
# are run choices of this project, not published cut-offs.
_ENOUGH_FOR_A_PLASMA_CELL = 10_000
_FEW_PLASMA_CELLS = 1e-4
_DISAGREEING_POPULATIONS = 2  # so many make tubes of different patients likely


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """Something a reader of the result must know: a stable ``code`` and a sentence."""

    patient_id: str
    timepoint: str
    panel: str
    code: str
    text: str


def flags_of(
    evidence: FlowEvidence, numbers: Numbers, dilution: Hemodilution, settings: FlowSettings
) -> list[Flag]:
    """Every flag of one sample, the gravest first."""
    found: list[tuple[str, str]] = []
    if evidence.overrides:
        text = f"{len(evidence.overrides)} gate(s) moved by hand; the automatic result stands beside this one"
        found.append(("overridden", text))
    if evidence.rules.unverified:
        text = f"panel {evidence.rules.panel} {evidence.rules.version}, not confirmed by a published source: "
        found.append(("panel_unverified", text + "; ".join(evidence.rules.unverified)))
    found += [("panel_mismatch", f"tube {t.tube}: {t.mismatch}") for t in evidence.tubes if t.mismatch]
    found += failures(evidence)
    found += _between_tubes(evidence, settings)
    found += _thin(evidence.tubes, numbers, settings)
    found += _diluted(dilution)
    found += [
        (a.code, f"tube {t.tube}: {a.text}") for t in evidence.tubes for a in t.anomalies if not a.grave
    ]
    return [flag(evidence, code, text) for code, text in found]


def flag(evidence: FlowEvidence, code: str, text: str) -> Flag:
    """A flag of one sample."""
    return Flag(
        patient_id=evidence.sample.patient_id,
        timepoint=evidence.sample.timepoint,
        panel=evidence.rules.panel,
        code=code,
        text=text,
    )


def failures(evidence: FlowEvidence) -> list[tuple[str, str]]:
    """What forbids a call although the cells could be counted, as code and sentence."""
    found = [(a.code, f"tube {t.tube}: {a.text}") for t in evidence.tubes for a in t.anomalies if a.grave]
    found += [
        ("not_compensated", f"tube {t.tube}: not compensated; spillover can make or hide aberrant cells")
        for t in evidence.tubes
        if not t.compensated and not t.mismatch
    ]
    found += [
        ("no_plasma_cells", f"tube {t.tube}: no plasma cell among {t.nucleated}: stain, masked CD38 or gate?")
        for t in evidence.tubes
        if t.plasma_cells == 0 and t.nucleated >= _ENOUGH_FOR_A_PLASMA_CELL
    ]
    return found


def contradiction(evidence: FlowEvidence, settings: FlowSettings) -> str:
    """Why two tubes cannot both be of this sample, or empty text.

    Either their aberrant cells differ, or two or more populations of normal cells and
    markers of the plasma cells do.
    """
    aberrant = _aberrant_cells_differ(evidence, settings)
    if aberrant:
        return aberrant
    others = _populations_differ(evidence, settings)
    return "; ".join(others) if len(others) >= _DISAGREEING_POPULATIONS else ""


def _pair(evidence: FlowEvidence) -> tuple[TubeEvidence, TubeEvidence] | None:
    tubes = evidence.tubes
    if len(tubes) != 2 or any(t.mismatch or t.nucleated == 0 for t in tubes):
        return None
    return tubes[0], tubes[1]


def _aberrant_cells_differ(evidence: FlowEvidence, settings: FlowSettings) -> str:
    pair = _pair(evidence)
    if pair is None:
        return ""
    first, second = pair
    cells = (float(first.nucleated), float(second.nucleated))
    found = tube_agreement((first.aberrant, second.aberrant), cells)
    if not found.contradicts(settings.discordance_p, settings.discordance_ratio):
        return ""
    return (
        f"{first.aberrant} aberrant of {first.nucleated} nucleated cells in tube 1, {second.aberrant} of "
        f"{second.nucleated} in tube 2 (p = {found.p:.1g}): are both tubes of this sample?"
    )


def _populations_differ(evidence: FlowEvidence, settings: FlowSettings) -> list[str]:
    """Populations and plasma-cell markers in which two tubes contradict each other, in words."""
    pair = _pair(evidence)
    if pair is None:
        return []
    wanted = evidence.rules.compared
    counts = [{g.gate: g.count for g in t.gates if g.gate in wanted} for t in pair]
    cells = (pair[0].nucleated, pair[1].nucleated)
    found = [
        f"{s.population} {s.counts[0] / cells[0]:.2%} of tube 1, {s.counts[1] / cells[1]:.2%} of tube 2"
        for s in population_shares(counts[0], counts[1], cells)
        if s.agreement.contradicts(settings.discordance_p, settings.population_ratio)
    ]
    found += [
        f"{d.marker} of the plasma cells differs (distance {d.distance:.2f})"
        for d in evidence.distances
        if d.p < settings.discordance_p and d.distance > settings.phenotype_distance
    ]
    return found


def _between_tubes(evidence: FlowEvidence, settings: FlowSettings) -> list[tuple[str, str]]:
    text = contradiction(evidence, settings)
    if text:
        return [("discordant_tubes", text)]
    return [("tubes_differ", t) for t in _populations_differ(evidence, settings)]


def _thin(tubes: Sequence[TubeEvidence], numbers: Numbers, settings: FlowSettings) -> list[tuple[str, str]]:
    """Few cells to count, and too few plasma cells to trust that they were stained."""
    found = []
    fits = not any(t.mismatch for t in tubes)
    if fits and (numbers.lod_95 is None or numbers.lod_95 > settings.wanted_lod):
        lod = (
            f"limit of detection {format_fraction(numbers.lod_95)}"
            if numbers.lod_95
            else "no limit of detection"
        )
        text = f"{numbers.nucleated} nucleated cells: {lod}, wanted {format_fraction(settings.wanted_lod)}"
        found.append(("few_cells", text))
    hard = [n for n, lod in numbers.lod_by_phenotype if lod is None or lod > settings.wanted_lod]
    if fits and hard and numbers.lod_95 is not None and numbers.lod_95 <= settings.wanted_lod:
        text = (
            f"a clone at {format_fraction(settings.wanted_lod)} could be missed if it is {' or '.join(hard)}"
        )
        found.append(("phenotype_hard_to_see", text))
    found += [
        ("few_plasma_cells", f"tube {t.tube}: {t.plasma_cells} plasma cells of {t.nucleated} nucleated cells")
        for t in tubes
        if t.nucleated >= _ENOUGH_FOR_A_PLASMA_CELL and 0 < t.plasma_cells < t.nucleated * _FEW_PLASMA_CELLS
    ]
    return found


def _diluted(found: Hemodilution) -> list[tuple[str, str]]:
    if found.verdict not in (DilutionVerdict.SUSPECTED, DilutionVerdict.DILUTED):
        return []
    word = "is diluted" if found.verdict is DilutionVerdict.DILUTED else "may be diluted"
    share = f"{found.marrow_share:.0%} of the cells from marrow" if found.marrow_share is not None else ""
    return [("hemodilution", f"the aspirate {word} by blood: {share} (unverified reference; {found.reason})")]
