"""The gates applied to a tube as Gating-ML 2.0, each with where its boundaries came from.

Gating-ML has no field for provenance; it stands in ``custom_info``, which other programs
skip. Parameters are named as in the file ($PnN), compensation is the file's own matrix,
so the text fits that file and others of the same run.
"""

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import quoteattr

from mrd_flow.evidence import BoundaryUsed, GateTally
from mrd_flow.fcs.data_sets import DataSet
from mrd_flow.gating.overrides import Override, overrides_of
from mrd_flow.gating.tube import GatedTube
from mrd_flow.panel.gates import ROOT_GATE
from mrd_flow.panel.program import AppliedGate
from mrd_flow.panel.template import CombinationGate, Logicle, Panel, PolygonGate, RectangleGate
from pipeline.errors import printable

__all__ = ["gatingml_of"]

_STANDARD = "http://www.isac-net.org/std/Gating-ML/v2.0/"
_PROVENANCE = "urn:nadir:gate-provenance:1"
_SPACES = {
    "xmlns:gating": f"{_STANDARD}gating",
    "xmlns:transforms": f"{_STANDARD}transformations",
    "xmlns:data-type": f"{_STANDARD}datatypes",
    "xmlns:nadir": _PROVENANCE,
}

Attributes = Mapping[str, object]


def gatingml_of(
    gated: GatedTube,
    data: DataSet,
    panel: Panel,
    tube: int,
    columns: Mapping[str, int],
    *,
    overrides: Sequence[Override] = (),
) -> str:
    """Gating-ML 2.0 text of the gates that were applied.

    Parameters
    ----------
    gated
        Result of `mrd_flow.gating.tube.gate_tube` for the four that follow.
    data, panel, tube, columns
        As given to it.
    overrides
        As given to it; author, time and reason of each stand with its gate.

    Returns
    -------
    str
        XML. Applied to the same file by another program it gives the same memberships,
        save for events that an acquisition mask left out.
    """
    moved = overrides_of(overrides, tube)
    tallies = {t.gate: t for t in gated.tallies}
    writer = _Writer(data, panel, columns)
    gates = [
        writer.gate(
            gate, _provenance(panel, tube, tallies[gate.name], [o for o in moved if o.gate == gate.name])
        )
        for gate in gated.gates
    ]
    scales = [_logicle(name, scale) for scale, name in writer.scales.items()]
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + _element("gating:Gating-ML", _SPACES, *scales, *gates)


class _Writer:
    """Writes gates, and collects the scales they use."""

    def __init__(self, data: DataSet, panel: Panel, columns: Mapping[str, int]) -> None:
        self.panel = panel
        self.names = {d: data.parameters[c].name for d, c in columns.items()}
        covered = data.spillover.columns if data.spillover is not None else ()
        self.compensated = {d for d, c in columns.items() if c in covered}
        self.scales: dict[Logicle, str] = {}

    def gate(self, gate: AppliedGate, provenance: str) -> str:
        head: dict[str, object] = {"gating:id": gate.name}
        if gate.parent != ROOT_GATE:
            head["gating:parent_id"] = gate.parent
        info = _element("data-type:custom_info", {}, provenance)
        if isinstance(gate, RectangleGate):
            body = [self._dimension(d, b.min, b.max) for d, b in gate.bounds.items()]
            return _element("gating:RectangleGate", head, info, *body)
        if isinstance(gate, PolygonGate):
            corners = [
                _element(
                    "gating:vertex", {}, *(_element("gating:coordinate", {"data-type:value": v}) for v in p)
                )
                for p in gate.vertices
            ]
            axes = (self._dimension(gate.x), self._dimension(gate.y))
            return _element("gating:PolygonGate", head, info, *axes, *corners)
        return _element("gating:BooleanGate", head, info, _combination(gate))

    def _dimension(self, name: str, low: float | None = None, high: float | None = None) -> str:
        attributes: dict[str, object] = {
            "gating:compensation-ref": "FCS" if name in self.compensated else "uncompensated"
        }
        if name not in self.panel.scatter:
            scale = self.panel.logicle_of(name)
            attributes["gating:transformation-ref"] = self.scales.setdefault(
                scale, f"logicle_{len(self.scales) + 1}"
            )
        attributes |= {f"gating:{k}": v for k, v in (("min", low), ("max", high)) if v is not None}
        named = _element("data-type:fcs-dimension", {"data-type:name": self.names[name]})
        return _element("gating:dimension", attributes, named)


def _combination(gate: CombinationGate) -> str:
    """None of several is each one's complement; a single gate is named twice, as two are the least."""
    kind = "or" if gate.kind == "any_of" else "and"
    complement = {"gating:use-as-complement": "true"} if gate.kind == "none_of" else {}
    names = gate.gates if len(gate.gates) > 1 else gate.gates * 2
    references = [_element("gating:gateReference", {"gating:ref": n, **complement}) for n in names]
    return _element(f"gating:{kind}", {}, *references)


def _logicle(name: str, scale: Logicle) -> str:
    numbers = {
        f"transforms:{k}": v for k, v in zip("TWMA", (scale.t, scale.w, scale.m, scale.a), strict=True)
    }
    return _element(
        "transforms:transformation", {"transforms:id": name}, _element("transforms:logicle", numbers)
    )


def _provenance(panel: Panel, tube: int, tally: GateTally, overrides: Sequence[Override]) -> str:
    boundaries = [_boundary(b) for b in tally.boundaries]
    people = [
        _element(
            "nadir:override",
            {
                "boundary": o.boundary,
                "author": o.author,
                "made_on": o.made_on.isoformat(),
                "reason": o.reason,
            },
        )
        for o in overrides
    ]
    head = {
        "template": panel.name,
        "version": panel.version,
        "tube": tube,
        "rule": tally.rule,
        "count": tally.count,
        "parent_count": tally.parent_count,
        "unverified": tally.unverified,
    }
    return _element("nadir:gate", head, *boundaries, *people)


def _boundary(used: BoundaryUsed) -> str:
    stated = {name: getattr(used, name) for name in BoundaryUsed.__dataclass_fields__}
    return _element("nadir:boundary", {k: v for k, v in stated.items() if v is not None and v != ""})


def _element(name: str, attributes: Attributes, *children: str) -> str:
    written = "".join(f" {k}={quoteattr(_text(v))}" for k, v in attributes.items())
    if not children:
        return f"<{name}{written}/>\n"
    return f"<{name}{written}>\n{''.join(children)}</{name}>\n"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else printable(str(value))
