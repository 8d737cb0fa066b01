"""Is every rule of a set possible: its gene known, its residue the protein's, no contradiction.

A rule set with a shifted residue number calls the wrong patients carriers. So no set is used before
it is checked against the reference proteins of the genes that have one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from chip.rules.genes import Gene, known_genes
from chip.rules.rule_set import Rule, RuleSet
from pipeline.errors import Problem, SheetRefused, printable

__all__ = ["RuleCheck", "check_rules", "require_valid"]

_RESIDUES = frozenset("ACDEFGHIKLMNPQRSTVWYU")
_CHANGES = _RESIDUES | {"*", "fs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCheck:
    """What checking a set found.

    ``validated`` counts rules held against a reference protein; ``unvalidated`` lists, by gene, rules
    whose gene has none here. ``problems`` hold the source of each in their cause.
    """

    validated: int
    unvalidated: tuple[tuple[str, int], ...]
    problems: tuple[Problem, ...]


def check_rules(rule_set: RuleSet) -> RuleCheck:
    """Hold every rule of a set, and of those it includes, against its gene."""
    problems = [problem for rule in rule_set.rules for problem in _of_rule(rule)]
    problems += _repeated(rule_set) + _contradictions(rule_set)
    without: dict[str, int] = {}
    validated = 0
    for rule in rule_set.rules:
        gene = known_genes().get(rule.gene)
        if gene is not None and gene.protein is not None:
            validated += 1
        else:
            without[rule.gene] = without.get(rule.gene, 0) + 1
    return RuleCheck(
        validated=validated, unvalidated=tuple(sorted(without.items())), problems=tuple(problems)
    )


def require_valid(rule_set: RuleSet) -> RuleSet:
    """The set itself.

    Raises
    ------
    SheetRefused
        With every rule that cannot be.
    """
    problems = check_rules(rule_set).problems
    if problems:
        raise SheetRefused(rule_set.path, problems)
    return rule_set


def _of_rule(rule: Rule) -> Iterator[Problem]:
    named = f"rule {printable(rule.rule_id)} of {printable(rule.source)}"
    gene = known_genes().get(rule.gene)
    if not rule.rule_id:
        yield _problem(rule, "rule_id", "rule_unnamed", "a rule has no name", "give each rule its own")
    if gene is None:
        remedy = "use the HGNC symbol, or an alias that is known"
        yield _problem(rule, "gene", "gene_unknown", f"{named}: no such gene", remedy)
    if not rule.citation:
        yield _problem(rule, "citation", "citation_missing", f"{named} has no citation", "say who said so")
    if rule.mechanism.is_exact:
        yield from _exact(rule, named, gene)
    elif rule.mechanism.is_window:
        yield from _window(rule, named, gene)
    elif rule.aa_start is not None or rule.aa_end is not None:
        cause = f"{named} is for a whole gene"
        yield _problem(rule, "aa_start", "residues_unused", cause, "leave the residues empty")


def _exact(rule: Rule, named: str, gene: Gene | None) -> Iterator[Problem]:
    if rule.aa_start is None or rule.aa_start != rule.aa_end:
        cause = f"{named} needs one residue"
        yield _problem(rule, "aa_start", "residue_missing", cause, "write it as aa_start and aa_end")
        return
    if rule.residue not in _RESIDUES:
        cause = f"{named} names no reference residue"
        yield _problem(rule, "residues", "residue_missing", cause, "write one letter")
    if not rule.allowed or rule.allowed - _CHANGES or rule.residue in rule.allowed:
        cause = f"{named}: not changes of {printable(rule.residue)}"
        remedy = "list one-letter residues, * or fs, other than the reference's"
        yield _problem(rule, "allowed_changes", "changes_impossible", cause, remedy)
    if gene is None or gene.protein is None:
        return
    known = gene.residue(rule.aa_start)
    if known != rule.residue:
        found = known or "beyond its end"
        cause = f"{named}: residue {rule.aa_start} of {gene.symbol} is {found}, not {printable(rule.residue)}"
        remedy = f"count residues on {gene.transcript or 'the reference protein'}"
        yield _problem(rule, "residues", "residue_wrong", cause, remedy)


def _window(rule: Rule, named: str, gene: Gene | None) -> Iterator[Problem]:
    if rule.aa_start is None or rule.aa_end is None or not 1 <= rule.aa_start <= rule.aa_end:
        cause = f"{named} needs a window"
        yield _problem(rule, "aa_start", "window_impossible", cause, "give its first and last residue")
    elif gene is not None and gene.protein is not None and rule.aa_end > len(gene.protein):
        cause = f"{named} ends at {rule.aa_end}; {gene.symbol} has {len(gene.protein)} residues"
        yield _problem(rule, "aa_end", "window_outside", cause, "end the window inside the protein")


def _repeated(rule_set: RuleSet) -> list[Problem]:
    seen: set[str] = set()
    found = []
    for rule in rule_set.rules:
        if rule.rule_id in seen:
            cause = f"the name {printable(rule.rule_id)} stands twice"
            found.append(_problem(rule, "rule_id", "rule_repeated", cause, "give each rule its own"))
        seen.add(rule.rule_id)
    return found


def _contradictions(rule_set: RuleSet) -> list[Problem]:
    """Rules of one file and kind that give one change two verdicts."""
    found = []
    for rules in rule_set.by_gene.values():
        for rule, other in ((rule, other) for i, rule in enumerate(rules) for other in rules[:i]):
            if _same_ground(rule, other) and rule.verdict is not other.verdict:
                names = f"{printable(other.rule_id)} and {printable(rule.rule_id)}"
                cause = f"rules {names} contradict each other"
                found.append(_problem(rule, "verdict", "rules_contradict", cause, "keep one of them"))
    return found


def _same_ground(one: Rule, other: Rule) -> bool:
    """Whether there is a change to which both apply."""
    if one.source != other.source or one.mechanism is not other.mechanism:
        return False
    if one.mechanism.is_exact:
        return one.aa_start == other.aa_start and bool(one.allowed & other.allowed)
    if one.aa_start is None or other.aa_start is None or one.aa_end is None or other.aa_end is None:
        return not one.mechanism.is_window
    return one.aa_start <= other.aa_end and other.aa_start <= one.aa_end


def _problem(rule: Rule, column: str, code: str, cause: str, remedy: str) -> Problem:
    return Problem(line=rule.line, column=column, code=code, cause=cause, remedy=remedy)
