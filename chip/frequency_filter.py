"""Whether a population has a variant, and what that says.

Databases of healthy people hold clonal haematopoiesis too (JAK2 V617F stands in gnomAD at 0.0005), so
a change that a rule lists by its residue is never taken as inherited for its frequency.
"""

from chip.flags import Flag, Weight
from chip.settings import ChipSettings

__all__ = ["judge_frequency"]


def judge_frequency(frequency: float | None, *, listed: bool, settings: ChipSettings) -> list[Flag]:
    """A flag where people of the population have the variant; a note where a rule lists its residue."""
    if frequency is None or frequency < settings.population_max:
        return []
    said = f"population frequency {frequency:.2g}"
    if listed:
        text = f"{said}, kept: its residue is listed, and populations have clones too"
        return [Flag(code="population_bypassed", weight=Weight.NOTE, text=text)]
    return [Flag(code="population", weight=Weight.EXPLAINED, text=f"{said}: taken as inherited")]
