"""Marker rules as versioned files: what a candidate must be to be followed, and who said so.

A rule set is a TOML file in ``configs/marker_rules/``, or the user's own. Each rule has a
threshold, a citation and whether a published text confirmed it. A rule that a set
leaves out is not tested.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mrd_ngs.settings import NgsSettings
from pipeline.formats.shipped import shipped_or_own
from pipeline.formats.toml_models import read_model

__all__ = [
    "Figures",
    "MarkerRules",
    "Rule",
    "Share",
    "Verdict",
    "load_rules",
    "rules_of",
    "rules_path",
]

_FOLDER = "marker_rules"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Rule(_Part):
    """A threshold, where it comes from, and whether its source could be read."""

    threshold: Annotated[float, Field(ge=0)]
    citation: Annotated[str, Field(min_length=1)]
    verified: bool


class Share(Rule):
    """A rule on a share, in (0, 1)."""

    threshold: Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is known of one candidate.

    ``share_of_locus`` of its locus' reads, ``fraction_of_cells`` of nucleated cells,
    ``templates`` in genome equivalents, ``next_decade`` other sequences with at least a tenth of
    its reads (``next_decade_is_least`` where there may be more), and ``background`` the
    expected share of nucleated cells of other clones with the same window. None: not known.
    """

    share_of_locus: float
    fraction_of_cells: float | None
    templates: float | None
    next_decade: int
    next_decade_is_least: bool = False
    background: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Each rule in words, by whether the candidate failed or passed it, and which could not be tested."""

    failed: tuple[str, ...]
    passed: tuple[str, ...]
    untested: tuple[str, ...]


class MarkerRules(_Part):
    """A rule set.

    A threshold is the least value that passes; of ``next_decade`` and ``background`` the greatest.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")]
    date: date
    title: str
    share_of_locus: Share
    fraction_of_cells: Share | None = None
    templates: Rule | None = None
    next_decade: Rule | None = None
    background: Share | None = None

    @property
    def name(self) -> str:
        """Id and version, as every marker names them.

        >>> load_rules("nadir_default").name
        'nadir_default 1'
        """
        return f"{self.id} {self.version}"

    @property
    def unverified(self) -> tuple[str, ...]:
        """Rules of the set whose threshold no published text confirmed, in words.

        >>> load_rules("euroclonality_like").unverified
        ('at least 5 % of the reads of its locus',)
        """
        said = {
            "share_of_locus": "at least {:.3g} % of the reads of its locus",
            "fraction_of_cells": "at least {:.3g} % of nucleated cells",
            "templates": "at least {:g} genome equivalents",
            "next_decade": "at most {:g} sequences in the next decade of frequency",
            "background": "at most {:g} of cells with its window in other clones",
        }
        percent = {"share_of_locus", "fraction_of_cells"}
        rules: dict[str, Rule | None] = {name: getattr(self, name) for name in said}
        return tuple(
            said[name].format(rule.threshold * (100 if name in percent else 1))
            for name, rule in rules.items()
            if rule is not None and not rule.verified
        )

    def judge(self, figures: Figures) -> Verdict:
        """Hold one candidate against every rule of the set.

        Examples
        --------
        >>> few = Figures(share_of_locus=0.5, fraction_of_cells=None, templates=12.0, next_decade=0)
        >>> load_rules("clonoseq_like").judge(few).failed
        ('12 templates (rule: at least 40)',)
        """
        f = figures
        failed: list[str] = []
        passed: list[str] = []
        untested: list[str] = []

        def test(met: bool, what: str, bound: str, rule: Rule) -> None:
            doubt = "" if rule.verified else ", unverified"
            (passed if met else failed).append(f"{what} (rule: {bound}{doubt})")

        share = self.share_of_locus
        test(
            f.share_of_locus >= share.threshold,
            f"{100 * f.share_of_locus:.2g} % of its locus' reads",
            f"at least {100 * share.threshold:g} %",
            share,
        )
        if self.fraction_of_cells is not None:
            rule = self.fraction_of_cells
            if f.fraction_of_cells is None:
                untested.append("cells")
            else:
                test(
                    f.fraction_of_cells >= rule.threshold,
                    f"{100 * f.fraction_of_cells:.2g} % of nucleated cells",
                    f"at least {100 * rule.threshold:g} %",
                    rule,
                )
        if self.templates is not None:
            if f.templates is None:
                untested.insert(0, "templates")
            else:
                bound = f"at least {self.templates.threshold:g}"
                test(
                    f.templates >= self.templates.threshold,
                    f"{f.templates:,.0f} templates",
                    bound,
                    self.templates,
                )
        if self.next_decade is not None:
            others = f"{'at least ' if f.next_decade_is_least else ''}{f.next_decade}"
            test(
                f.next_decade <= self.next_decade.threshold,
                f"{others} other sequences in the next decade of frequency",
                f"at most {self.next_decade.threshold:g}",
                self.next_decade,
            )
        if f.background is not None:
            what = f"other clones expected to share its window: {_magnitude(f.background)} of nucleated cells"
            if self.background is None:
                passed.append(f"{what} (own model, unverified; no rule in this set)")
            else:
                bound = f"at most {self.background.threshold:g}"
                test(f.background <= self.background.threshold, what, bound, self.background)
        elif self.background is not None:
            untested.append("other clones with its window")
        return Verdict(failed=tuple(failed), passed=tuple(passed), untested=tuple(untested))


def load_rules(name_or_path: str | Path) -> MarkerRules:
    """Read a rule set that ships with nadir (``nadir_default`` …) or a TOML file.

    Raises
    ------
    UsageError
        If it is neither a shipped name nor a path that ends in ``.toml``.
    ConfigRefused
        If the file cannot be read, is no TOML, or has an unknown key or a wrong value.

    Examples
    --------
    >>> load_rules("clonoseq_like").share_of_locus.threshold
    0.03
    """
    return read_model(
        rules_path(name_or_path),
        MarkerRules,
        remedy="correct the key, or copy configs/marker_rules/nadir_default.toml and change its thresholds",
    )


def rules_path(name_or_path: str | Path) -> Path:
    """File of a rule set; it need not exist.

    Raises
    ------
    UsageError
        If it is neither a shipped name nor a path that ends in ``.toml``.
    """
    return shipped_or_own(name_or_path, _FOLDER, "marker rules")


def rules_of(settings: NgsSettings) -> MarkerRules:
    """The rules that a run's settings name."""
    return load_rules(settings.marker_rules)


def _magnitude(fraction: float) -> str:
    """One digit and a power of ten; what no sample could hold is only called less.

    >>> _magnitude(3.2e-5), _magnitude(1e-19)
    ('3e-05', 'less than 1e-12')
    """
    return f"{fraction:.0e}" if fraction >= 1e-12 else "less than 1e-12"
