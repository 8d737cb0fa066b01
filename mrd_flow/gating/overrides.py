"""An analyst's corrections of gates: what was moved, by whom, and why.

An override never replaces the automatic result: both are computed and kept. Overrides
form a chain, each entry holding the hash of the one before it, so that a file in which
an earlier entry was changed, removed or exchanged is recognised.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING

from pipeline.errors import UsageError, printable
from pipeline.formats.digest import sha256_bytes
from pipeline.model import is_identifier, looks_personal

if TYPE_CHECKING:
    from mrd_flow.panel.template import Panel

__all__ = ["CHAIN_START", "Override", "check_fit", "digest_of", "overrides_of"]

CHAIN_START = "0" * 64
_LONGEST_REASON = 500
_MOST_VERTICES = 1_000
_LARGEST_VALUE = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One gate of one tube (1-based), moved by an analyst.

    For a rectangle, ``dimension`` with ``min``, ``max`` or both; the bound that is None
    stays where the rule put it. For a polygon ``vertices`` and no dimension. Markers are
    on the logicle scale, scatter in linear units. ``author`` is a pseudonym, ``made_on`` the time
    the analyst states. ``before`` is the digest of the entry before, empty in an entry
    written by hand.
    """

    tube: int
    gate: str
    author: str
    reason: str
    made_on: datetime
    dimension: str = ""
    min: float | None = None
    max: float | None = None
    vertices: tuple[tuple[float, float], ...] = ()
    before: str = ""

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise ValueError(problem)

    @property
    def boundary(self) -> str:
        """The new boundary in words.

        >>> who = {"author": "A1", "reason": "dim", "made_on": datetime(2026, 3, 1, 9, 30)}
        >>> Override(tube=1, gate="plasma_cells", dimension="CD38", min=0.6, **who).boundary
        'CD38 >= 0.6'
        """
        if self.vertices:
            return "inside " + " ".join(f"({x:g}, {y:g})" for x, y in self.vertices)
        lower = [] if self.min is None else [f"{self.dimension} >= {self.min:g}"]
        upper = [] if self.max is None else [f"{self.dimension} < {self.max:g}"]
        return " and ".join(lower + upper)


def digest_of(override: Override) -> str:
    """SHA-256 of an entry with everything in it, so also of all before it."""
    body = {f.name: getattr(override, f.name) for f in fields(override)}
    body["made_on"] = override.made_on.isoformat()
    return sha256_bytes(json.dumps(body, sort_keys=True, ensure_ascii=False).encode())


def overrides_of(overrides: Sequence[Override], tube: int) -> tuple[Override, ...]:
    """Those of one tube that count: of several of the same boundary, the last."""
    last = {(o.gate, o.dimension): o for o in overrides if o.tube == tube}
    return tuple(last.values())


def check_fit(overrides: Sequence[Override], panel: "Panel") -> None:
    """Refuse overrides of what the panel does not have.

    Raises
    ------
    UsageError
        If a tube, a gate or a dimension is unknown, if a polygon gate is given bounds or a
        rectangle vertices, or if a combination of gates is overridden.
    """
    for number, override in enumerate(overrides, start=1):
        problem = _misfit(override, panel)
        if problem:
            raise UsageError(f"override {number}: {problem}")


def _misfit(override: Override, panel: "Panel") -> str:
    if override.tube > len(panel.tubes):
        return f"tube {override.tube}: panel {panel.name} has {len(panel.tubes)} tube(s)"
    gates = {g.name: g for g in panel.gates_of(override.tube)}
    gate = gates.get(override.gate)
    if gate is None:
        return f"panel {panel.name} has no such gate in tube {override.tube}; there are {', '.join(gates)}"
    if gate.kind not in ("rectangle", "polygon"):
        return f"gate '{gate.name}' combines others; override those"
    if (gate.kind == "polygon") != bool(override.vertices):
        wanted = "vertices" if gate.kind == "polygon" else "a dimension with min or max"
        return f"gate '{gate.name}' is a {gate.kind}: it takes {wanted}"
    if override.dimension and override.dimension not in gate.dimensions:
        return f"gate '{gate.name}' has no such dimension; it has {', '.join(gate.dimensions)}"
    return ""


def _problems(override: Override) -> list[str]:
    found = [_problem_of_text(override), _problem_of_bounds(override), _problem_of_vertices(override)]
    if not 1 <= override.tube <= 99:
        found.append("tube must be 1 or more")
    return [f for f in found if f]


def _problem_of_text(override: Override) -> str:
    if not is_identifier(override.author) or looks_personal(override.author):
        return "author must be a pseudonym of 1 to 32 letters, digits, '-' or '_'"
    if not override.reason.strip() or len(override.reason) > _LONGEST_REASON:
        return f"reason must be a text of at most {_LONGEST_REASON} characters"
    if printable(override.reason) != override.reason:
        return "reason must not hold control characters"
    if override.before and not (
        len(override.before) == 64 and set(override.before) <= set("0123456789abcdef")
    ):
        return "before must be the SHA-256 of the entry before"
    if not override.gate:
        return "gate must be named"
    return ""


def _problem_of_bounds(override: Override) -> str:
    bounds = [b for b in (override.min, override.max) if b is not None]
    if override.vertices:
        return "give either vertices or a dimension with min or max" if bounds or override.dimension else ""
    if not override.dimension or not bounds:
        return "give a dimension with min or max, or vertices"
    if not all(math.isfinite(b) and abs(b) <= _LARGEST_VALUE for b in bounds):
        return "min and max must be finite numbers"
    return "min must lie below max" if len(bounds) == 2 and bounds[0] >= bounds[1] else ""


def _problem_of_vertices(override: Override) -> str:
    if not override.vertices:
        return ""
    if not 3 <= len(override.vertices) <= _MOST_VERTICES:
        return f"vertices must be 3 to {_MOST_VERTICES} points"
    if not all(math.isfinite(v) and abs(v) <= _LARGEST_VALUE for point in override.vertices for v in point):
        return "vertices must be finite numbers"
    return ""
