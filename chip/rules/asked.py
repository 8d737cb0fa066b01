"""Which sets are asked of a change: the one that decides, and those shown beside it."""

from pathlib import Path

from chip.rules.checks import require_valid
from chip.rules.rule_set import RuleSet, load_rule_set, second_opinion_of

__all__ = ["rule_sets_asked"]

_SHOWN = ("topmed_2022", "strict_core")


def rule_sets_asked(name_or_path: str | Path) -> tuple[RuleSet, ...]:
    """The deciding set first, then its second opinion and the others that ship; all of them checked.

    Raises
    ------
    UsageError, ConfigRefused, SheetRefused
        If a set cannot be used.

    Examples
    --------
    >>> [rule_set.id for rule_set in rule_sets_asked("strict_core")]
    ['strict_core', 'topmed_2022']
    """
    found = [load_rule_set(name_or_path)]
    other = second_opinion_of(found[0])
    for rule_set in (*(() if other is None else (other,)), *map(load_rule_set, _SHOWN)):
        if rule_set.id not in {s.id for s in found}:
            found.append(rule_set)
    return tuple(map(require_valid, found))
