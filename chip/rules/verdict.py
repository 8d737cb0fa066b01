"""A change held against rule sets: IN, OUT or REVIEW, by which rule, and who said so.

The first rule that applies decides: artefact, then germline, then by precision (one residue, a
window, a whole gene), and among equals the sets that a set includes before its own. Without a rule a
change is OUT with the reason, unless its name cannot be trusted: then a person looks at it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chip.rules.change import Change, Kind
from chip.rules.rule_set import Mechanism, Rule, RuleSet, Verdict

__all__ = ["Classification", "SetVerdict", "classify"]

_IN_WORDS = {
    Mechanism.ARTEFACT: "known artefact",
    Mechanism.GERMLINE_BLOCK: "known inherited variant",
    Mechanism.HOTSPOT: "listed change",
    Mechanism.INFRAME_LIST: "in-frame change of listed residues",
    Mechanism.MISSENSE_WINDOW: "missense inside the listed residues",
    Mechanism.TRUNC_WINDOW: "truncation inside the listed residues",
    Mechanism.LOF: "truncation of a gene of loss",
    Mechanism.SPLICE: "splice site of a gene of loss",
}
_PRECISION = (
    (Mechanism.ARTEFACT,),
    (Mechanism.GERMLINE_BLOCK,),
    (Mechanism.HOTSPOT,),
    (Mechanism.INFRAME_LIST, Mechanism.MISSENSE_WINDOW, Mechanism.TRUNC_WINDOW),
    (Mechanism.LOF, Mechanism.SPLICE),
)
_RANK = {mechanism: rank for rank, group in enumerate(_PRECISION) for mechanism in group}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVerdict:
    """What one set says; ``rule_id`` and ``citation`` are empty where no rule applied."""

    rule_set: str
    verdict: Verdict
    rule_id: str
    reason: str
    citation: str
    caution: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """What is said of a change by the deciding set and its second opinion, and by every set asked."""

    decided: SetVerdict
    by_set: tuple[SetVerdict, ...]


def classify(change: Change, rule_set: RuleSet, others: Sequence[RuleSet] = ()) -> Classification:
    """Hold a change against the deciding set and others.

    Parameters
    ----------
    change
        What the variant does.
    rule_set
        The set that decides.
    others
        Sets whose verdict is shown beside it. The one named as second opinion of the deciding set turns
        an OUT for want of a rule into REVIEW where it says IN itself.

    Examples
    --------
    >>> from chip.rules.change import parse_change
    >>> from chip.rules.rule_set import load_rule_set
    >>> found = classify(parse_change("PPM1D", "R552*"), load_rule_set("topmed_2022"))
    >>> str(found.decided.verdict), found.decided.rule_id
    ('IN', 'T-PPM1D-trunc')
    """
    own = _of_set(change, rule_set)
    by_set = (own, *(_of_set(change, other) for other in others))
    decided = own
    if own.verdict is Verdict.OUT and not own.rule_id:
        for other, said in zip(others, by_set[1:], strict=True):
            if other.id == rule_set.second_opinion and said.verdict is Verdict.IN:
                decided = SetVerdict(
                    rule_set=own.rule_set,
                    verdict=Verdict.REVIEW,
                    rule_id=said.rule_id,
                    reason=f"rule sets disagree: {own.reason}, but {said.rule_set} has it ({said.reason})",
                    citation=said.citation,
                    caution="rule_sets_disagree",
                )
    return Classification(decided=decided, by_set=by_set)


def _of_set(change: Change, rule_set: RuleSet) -> SetVerdict:
    rules = rule_set.by_gene.get(change.gene, ())
    rule = min((r for r in rules if _applies(r, change)), key=lambda r: _RANK[r.mechanism], default=None)
    if change.doubt and rules:
        return _said(rule_set, Verdict.REVIEW, f"the name cannot be right: {change.doubt}", "name_in_doubt")
    if rule is not None:
        reason = _IN_WORDS[rule.mechanism] + (f": {rule.note}" if rule.note else "")
        return SetVerdict(
            rule_set=rule_set.name,
            verdict=rule.verdict,
            rule_id=rule.rule_id,
            reason=reason,
            citation=rule.citation,
            caution=rule.caution,
        )
    return _without_rule(change, rule_set, rules)


def _applies(rule: Rule, change: Change) -> bool:
    kind, mechanism = change.kind, rule.mechanism
    if mechanism is Mechanism.LOF:
        return kind.is_truncating
    if mechanism is Mechanism.SPLICE:
        return kind is Kind.SPLICE
    if change.aa_start is None or change.aa_end is None or rule.aa_start is None or rule.aa_end is None:
        return False
    if mechanism.is_exact:
        what = "fs" if kind is Kind.FRAMESHIFT else change.alt
        return kind is not Kind.INFRAME and change.aa_start == rule.aa_start and what in rule.allowed
    inside = rule.aa_start <= change.aa_start <= rule.aa_end
    if mechanism is Mechanism.TRUNC_WINDOW:
        return kind.is_truncating and inside
    if mechanism is Mechanism.MISSENSE_WINDOW:
        return kind is Kind.MISSENSE and inside
    return kind is Kind.INFRAME and change.aa_start <= rule.aa_end and rule.aa_start <= change.aa_end


def _without_rule(change: Change, rule_set: RuleSet, rules: Sequence[Rule]) -> SetVerdict:
    """Nothing applies: out for a reason, or looked at where the reason is that nobody knows."""
    kind = change.kind
    if change.gene not in rule_set.own_genes:
        return _said(rule_set, Verdict.OUT, "the rule set has no rule for this gene", "")
    if kind is Kind.UNKNOWN:
        return _said(rule_set, Verdict.REVIEW, "what it does to the protein cannot be told", "name_unclear")
    if kind is Kind.START_LOST and any(r.mechanism is Mechanism.LOF for r in rules):
        return _said(rule_set, Verdict.REVIEW, "start codon of a gene of loss", "start_lost")
    listed = [r for r in rules if r.mechanism is Mechanism.HOTSPOT and r.verdict is Verdict.IN]
    at = change.aa_start
    if kind is Kind.INFRAME and any(_spans(change, r.aa_start) for r in listed):
        return _said(rule_set, Verdict.REVIEW, "replaces a listed residue with others", "listed_residue")
    if kind is Kind.MISSENSE and any(r.aa_start == at for r in listed):
        return _said(rule_set, Verdict.OUT, "another change of a listed residue", "listed_residue")
    return _said(rule_set, Verdict.OUT, _why_out(kind), "")


def _spans(change: Change, residue: int | None) -> bool:
    known = change.aa_start is not None and change.aa_end is not None and residue is not None
    return known and change.aa_start <= residue <= change.aa_end  # type: ignore[operator]


def _why_out(kind: Kind) -> str:
    return {
        Kind.SILENT: "silent",
        Kind.MISSENSE: "missense that no rule lists",
        Kind.NONSENSE: "truncation, and the gene's drivers are not",
        Kind.FRAMESHIFT: "truncation, and the gene's drivers are not",
        Kind.SPLICE: "splice site, and no rule counts the gene's",
        Kind.INFRAME: "in-frame change that no rule lists",
        Kind.NONCODING: "outside coding sequence and splice sites",
        Kind.START_LOST: "start codon, and no rule counts the gene's losses",
        Kind.STOP_LOST: "stop codon lost: no rule lists it",
    }[kind]


def _said(rule_set: RuleSet, verdict: Verdict, reason: str, caution: str) -> SetVerdict:
    return SetVerdict(
        rule_set=rule_set.name, verdict=verdict, rule_id="", reason=reason, citation="", caution=caution
    )
