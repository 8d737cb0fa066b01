"""A flow result in sentences: the clone, what calls of it are worth, light chains, dilution."""

from mrd_flow.evidence import Classification
from mrd_flow.hemodilution import DilutionVerdict, Hemodilution, undiluted
from mrd_flow.numbers import Numbers
from mrd_flow.plasma_cells.clonality import ClonalityTest
from pipeline.model import MrdResult, format_fraction

__all__ = ["clone_statement", "dilution_statement", "expectation_statements", "light_chain_statement"]


def clone_statement(found: Classification) -> str:
    """Which clone was found, or which was looked for in vain."""
    if not found.origin:
        return f"none {'as at diagnosis' if found.diagnosis_known else 'of any phenotype looked for'}"
    words = ", ".join(f"{m} {w}" for m, w in found.antigens if w != "normal") or "no antigen differs"
    return f"{found.archetype}; against this sample's normal plasma cells: {words}"


def expectation_statements(found: Classification, numbers: Numbers) -> list[tuple[str, str]]:
    """What calls of each phenotype are worth, as phenotype and sentence."""
    limits = dict(numbers.lod_by_phenotype)
    said = []
    for expected in found.expectations:
        worth = f"recall {expected.recall:.0%}, precision {expected.precision:.0%}"
        text = f"{worth} at {expected.clone_events:.0f} cells, {expected.false_events:.1f} false events"
        if not found.origin:
            text += f", limit of detection {format_fraction(limits[expected.phenotype]) or 'none'}"
        said.append((expected.phenotype, text))
    return said


def light_chain_statement(test: ClonalityTest) -> str:
    """Whether a clone's light chains are restricted, and on which cells that rests."""
    counts = f"kappa {test.cluster_kappa}, lambda {test.cluster_lambda}"
    normal = f"normal plasma cells {test.normal_kappa}, {test.normal_lambda}"
    return f"{test.verdict} ({counts}; {normal}; {test.reason})"


def dilution_statement(found: Hemodilution, result: MrdResult) -> str:
    """How much of the aspirate is blood, and what the value would be without; never substituted."""
    if found.verdict is DilutionVerdict.NOT_ASSESSABLE:
        return f"not assessable: {found.reason}"
    text = f"{found.verdict}, {found.marrow_share:.0%} of the cells from marrow (unverified reference)"
    if found.factor is None or result.value is None or found.verdict is DilutionVerdict.ADEQUATE:
        return text
    text += f"; as undiluted marrow (x {found.factor:.2g}, not substituted) "
    text += format_fraction(undiluted(result.value, found))
    if result.lod is not None:
        text += f", limit of detection {format_fraction(undiluted(result.lod, found))}"
    return text
