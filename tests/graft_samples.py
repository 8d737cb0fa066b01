"""Samples of CHIP for tests: candidates, coverage, and the calls of one of them."""

from functools import cache

from chip.call import call_graft
from chip.evidence import Candidate, Counts, GeneCoverage, GraftEvidence
from chip.rules.rule_set import load_rule_set
from chip.settings import ChipSettings

RULES = ("topmed_2022", "strict_core")


@cache
def _rule_sets():
    return tuple(load_rule_set(name) for name in RULES)


def candidate(gene="DNMT3A", hgvsp="R882H", *, alt=50, depth=1000, **more):
    counts = more.pop("counts", Counts(depth=depth, alt=alt))
    return Candidate(gene=gene, hgvsp=hgvsp, counts=counts, **more)


def coverage(gene="DNMT3A", *, molecules=1000.0, covered=1.0):
    return GeneCoverage(
        gene=gene,
        target_nt=900,
        covered_fraction=covered,
        molecules_median=molecules,
        molecules_low=molecules,
    )


def called(*candidates, **more):
    settings = more.pop("settings", ChipSettings())
    blood = more.pop("blood", None)
    evidence = GraftEvidence(candidates=candidates, **more)
    return call_graft(evidence, _rule_sets(), settings, blood=blood)


def variant(*args, evidence=None, **more):
    """The one variant that is called of one candidate."""
    return called(candidate(*args, **more), **(evidence or {})).variants[0]
