"""How results are put in words: every code of the house has its phrase and its sentence.

The texts themselves stand in ``templates/en.toml``; this module looks them up and fills
them in. What is filled in stays plain text: the templates escape it.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from pipeline.detection import Reading
from pipeline.model import Assay, MrdResult, Reason, Status, format_fraction

__all__ = ["Wording", "load_wording"]


@dataclass(frozen=True, slots=True, eq=False)
class Wording:
    """The texts of one language, by section and key."""

    texts: dict[str, Any]

    def reason_phrase(self, reason: Reason) -> str:
        """Two to four words for a table cell."""
        return str(self.texts["reason"][reason.value]["phrase"])

    def reason_sentence(self, reason: Reason) -> str:
        """Why a result has its status, in one sentence."""
        return str(self.texts["reason"][reason.value]["sentence"])

    def reading_phrase(self, reading: Reading, result: MrdResult) -> str:
        """Why a result reads so at a threshold; the result's own reason where that decides."""
        if result.status in (Status.NOT_EVALUABLE, Status.INDETERMINATE):
            return self.reason_phrase(result.reason)
        text = self._reading(reading, "phrase")
        return f"{text}, {self.texts['reading_extra']['below_loq']}" if reading.below_loq else text

    def reading_sentence(self, reading: Reading) -> str:
        """Why a result reads so at a threshold, in one sentence."""
        return self._reading(reading, "sentence")

    def _reading(self, reading: Reading, kind: str) -> str:
        text = str(self.texts["reading"][reading.reason.value][kind])
        return text.format(c=format_threshold(reading.threshold))

    def headline(self, result: MrdResult, *, below_loq: bool) -> str:
        """A result with its limit of detection, in words."""
        key = result.status.value
        if result.status is Status.INDETERMINATE and result.lod is not None:
            key = "INDETERMINATE_lod"
        sentence = str(self.texts["headline"][key]).format(
            value=format_fraction(result.value),
            low=format_fraction(result.ci_low),
            high=format_fraction(result.ci_high),
            lod=format_fraction(result.lod),
            unit=self.unit(result.unit),
            reason=self.reason_sentence(result.reason),
        )
        if below_loq:
            sentence += " " + self.texts["headline"]["below_loq"].format(loq=format_fraction(result.loq))
        return sentence

    def unit(self, unit: str) -> str:
        """What a fraction is a fraction of."""
        return str(self.texts["unit"].get(unit, self.texts["unit"]["other"]))

    def method(self, assay: Assay, panel: str) -> str:
        """A method's name for people: the panel where there is one, else the assay.

        >>> load_wording().method(Assay.FLOW, "euroflow"), load_wording().method(Assay.NGS, "")
        ('EuroFlow', 'NGS')
        """
        if assay is Assay.FLOW and panel in self.texts["panel"]:
            return str(self.texts["panel"][panel])
        name = str(self.texts["assay"][assay.value])
        return f"{name} {panel}" if panel else name

    def panel(self, panel: str) -> str:
        """A panel's name for people."""
        return str(self.texts["panel"].get(panel, panel))

    def target(self, target_id: str) -> str:
        """What was looked for: its name for people where it has one."""
        return str(self.texts["target"].get(target_id, target_id))

    def counted(self, section: str, key: str, count: int) -> str:
        """A text that has a form for one and a form for many."""
        return str(self.texts[section][key]["one" if count == 1 else "many"]).format(count=f"{count:,}")


@cache
def load_wording(language: str = "en") -> Wording:
    """The texts of a language that ships with nadir; one object a language, never to be changed."""
    source = files("pipeline.report") / "templates" / f"{language}.toml"
    return Wording(tomllib.loads(source.read_text(encoding="utf-8")))


def format_threshold(threshold: float) -> str:
    """A threshold as short as it can be said exactly enough: ``1e-5``, ``2.5e-5``.

    >>> format_threshold(1e-5), format_threshold(2.5e-5)
    ('1e-5', '2.5e-5')
    """
    mantissa, exponent = format_fraction(threshold).split("e")
    return f"{mantissa.removesuffix('.0')}e{exponent}"


def format_count(count: float) -> str:
    """A count with thousands separated; estimated counts keep one decimal below 100.

    >>> format_count(3_000_000), format_count(12.34), format_count(1234.5)
    ('3,000,000', '12.3', '1,234')
    """
    return f"{count:,.1f}" if count < 100 and count != round(count) else f"{count:,.0f}"
