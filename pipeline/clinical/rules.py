"""A response rule set: numbers with names, read from a versioned, cited table.

The table is data (TOML beside this module); whoever opens it hands its content to
`rules_from`. The numbers are decimals: a limit is met exactly or not at all.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

from pipeline.errors import ConfigRefused, UsageError

__all__ = ["ResponseRules", "rule_set_names", "rule_set_path", "rules_from"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRules:
    """Thresholds of one rule set; each field is table and key of the TOML joined by ``_``."""

    id: str
    citation: str
    measurable_serum_m_g_dl: Decimal
    measurable_urine_m_mg_24h: Decimal
    measurable_involved_flc_mg_l: Decimal
    flc_ratio_low: Decimal
    flc_ratio_high: Decimal
    complete_marrow_below_percent: Decimal
    very_good_serum_reduction_percent: Decimal
    very_good_urine_below_mg_24h: Decimal
    very_good_dflc_reduction_percent: Decimal
    partial_serum_reduction_percent: Decimal
    partial_urine_reduction_percent: Decimal
    partial_urine_below_mg_24h: Decimal
    partial_dflc_reduction_percent: Decimal
    partial_marrow_reduction_percent: Decimal
    partial_marrow_baseline_percent: Decimal
    partial_plasmacytoma_reduction_percent: Decimal
    minimal_serum_reduction_percent: Decimal
    minimal_urine_reduction_percent: Decimal
    progression_increase_percent: Decimal
    progression_serum_increase_g_dl: Decimal
    progression_serum_high_nadir_g_dl: Decimal
    progression_serum_high_increase_g_dl: Decimal
    progression_urine_increase_mg_24h: Decimal
    progression_dflc_increase_above_mg_l: Decimal
    progression_marrow_increase_points: Decimal
    progression_plasmacytoma_increase_percent: Decimal
    missing_levels_lost: Decimal


def rules_from(content: Mapping[str, object], *, path: Path | str | None = None) -> ResponseRules:
    """Rules from the content of a rule table.

    Parameters
    ----------
    content
        The parsed table: ``id``, ``citation`` and one mapping per section.
    path
        The file, for messages.

    Raises
    ------
    ConfigRefused
        If a number is missing, unknown, negative or not a number.
    """
    flat: dict[str, object] = {}
    for table, value in content.items():
        if isinstance(value, Mapping):
            flat.update({f"{table}_{key}": item for key, item in value.items()})
        else:
            flat[table] = value
    names = [f.name for f in dataclasses.fields(ResponseRules)]
    for name in sorted(set(flat) ^ set(names)):
        what = "unknown number" if name in flat else "a number is missing"
        raise ConfigRefused(f"{what} in the rule set", path=path, column=name if name in names else None)
    words = {name: flat.pop(name) for name in ("id", "citation")}
    numbers: dict[str, Decimal] = {}
    for name, value in flat.items():
        if isinstance(value, bool) or not isinstance(value, int | Decimal) or not value >= 0:
            raise ConfigRefused("not a number", path=path, column=name, expected="a decimal, 0 or more")
        numbers[name] = Decimal(value)
    return ResponseRules(id=str(words["id"]), citation=str(words["citation"]), **numbers)


def rule_set_names() -> tuple[str, ...]:
    """Names of the rule sets that ship."""
    return tuple(sorted(p.stem for p in _folder().glob("*.toml")))


def rule_set_path(name: str) -> Path:
    """Path of a rule set that ships.

    Raises
    ------
    UsageError
        If none has that name.
    """
    if name not in rule_set_names():
        raise UsageError(f"no rule set of that name. There are: {', '.join(rule_set_names())}")
    return _folder() / f"{name}.toml"


def _folder() -> Path:
    return Path(str(files("pipeline.clinical"))) / "data"
