"""What was counted in the tubes of one sample, before anything is said about it."""

from dataclasses import dataclass, field
from pathlib import Path

from mrd_flow.acquisition.result import MarginTally, RemovedRun
from mrd_flow.fcs.anomaly import Anomaly
from mrd_flow.gating.overrides import Override
from mrd_flow.hemodilution import DilutionRules, MarrowCells
from mrd_flow.plasma_cells.classified import Expectation
from mrd_flow.plasma_cells.clonality import ClonalityTest
from mrd_flow.plasma_cells.diagnostic_phenotype import DiagnosticPhenotype
from mrd_flow.tubes import PhenotypeDistance
from pipeline.model import Sample

__all__ = [
    "Acquisition",
    "BoundaryUsed",
    "CallRules",
    "Classification",
    "FlowEvidence",
    "FlowSettings",
    "GateTally",
    "TubeEvidence",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowSettings:
    """Choices of a run.

    ``accepted_false_calls`` is the share of blanks that background alone may call
    detected; ``discordance_p`` and ``discordance_ratio`` say when two tubes contradict
    each other in their aberrant cells (both must be passed), ``discordance_p`` and
    ``population_ratio`` when in a population of normal cells, ``discordance_p`` and
    ``phenotype_distance`` (Kolmogorov-Smirnov, 0 to 1) when in a marker of the plasma cells;
    ``wanted_lod`` is the fraction a sample should be able to show, below which it is
    flagged as having few cells; ``archetypes`` names the phenotypes looked for where the
    diagnosis is not known, ``reference`` a file of normal plasma cells (None: the one that
    ships); ``chunk_events`` bounds the memory and changes no number.
    The numbers are choices of this project, not published cut-offs.
    """

    accepted_false_calls: float = 0.05
    discordance_p: float = 0.001
    discordance_ratio: float = 2.0
    population_ratio: float = 1.5
    phenotype_distance: float = 0.3
    wanted_lod: float = 1e-5
    archetypes: str = "myeloma"
    reference: Path | None = None
    chunk_events: int = 1 << 17

    def __post_init__(self) -> None:
        for name in ("accepted_false_calls", "discordance_p", "phenotype_distance", "wanted_lod"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie between 0 and 1")
        if not all(v >= 1 for v in (self.discordance_ratio, self.population_ratio, self.chunk_events)):
            raise ValueError("discordance_ratio, population_ratio and chunk_events must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryUsed:
    """Where one boundary that is not simply the template's came from.

    ``side`` is ``min`` or ``max`` of ``dimension``; ``value`` what was used (None:
    open), ``template_value`` what the template states and the rule falls back to,
    ``low`` and ``high`` the rule's limits, ``found`` what the rule came to, within them or
    not (None: nothing); values on the logicle scale, scatter linear.
    ``population`` is the landmark or gate the rule looked at and ``population_events``
    how many of its events it saw. Where ``fell_back``, ``reason`` says why.
    ``overridden`` boundaries were set by a person: rule ``override``, no limits. A
    polygon's corners are overridden as a whole: side ``vertices``, no values.
    """

    dimension: str
    side: str
    rule: str
    value: float | None
    template_value: float | None
    low: float | None = None
    high: float | None = None
    found: float | None = None
    population: str = ""
    population_events: int = 0
    fell_back: bool = False
    reason: str = ""
    overridden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTally:
    """What one gate passed in one tube; ``detail`` gives the boundary in words.

    ``boundaries`` lists those that a rule or a person placed.
    """

    gate: str
    path: str
    count: int
    parent_count: int
    rule: str
    detail: str
    unverified: bool
    boundaries: tuple[BoundaryUsed, ...] = ()

    @property
    def fell_back(self) -> bool:
        """Whether a rule found no boundary, and the template's was taken."""
        return any(b.fell_back for b in self.boundaries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """What the check of the acquisition took out of one tube before any gate.

    ``removed`` events in all; ``runs`` and ``margins`` say which and why, those that were
    kept all the same too. ``not_checked`` is why runs were not judged, or empty.
    """

    removed: int
    runs: tuple[RemovedRun, ...]
    margins: tuple[MarginTally, ...]
    not_checked: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeEvidence:
    """Counts of one tube (1-based ``tube``) and what was odd about its file.

    ``mismatch`` is empty, or says why the file does not fit the panel; the counts are
    then 0. ``plasma_cells`` are normal and ``aberrant`` ones; ``not_plasma_cells`` passed
    the gates of plasma cells and were told apart by the classifier. ``marrow_cells`` are
    the populations that blood thins out.
    """

    tube: int
    name: str
    events: int
    nucleated: int
    plasma_cells: int
    aberrant: int
    not_plasma_cells: int
    compensated: bool
    gates: tuple[GateTally, ...]
    anomalies: tuple[Anomaly, ...]
    mismatch: str
    acquisition: Acquisition | None = None
    marrow_cells: tuple[MarrowCells, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """What the classifier found in the tubes of one sample together, and what its calls are worth.

    ``evidence`` is the log evidence ratio of a clone against none; ``origin`` ``diagnosis``,
    ``archetype`` or empty (no clone); ``antigens`` pairs of marker and reduced, normal or
    increased against the sample's own normal plasma cells. ``estimated_events`` is the
    clone's size by the mixture, called or not, with its standard deviation. ``expectations``
    is one for the clone found, or one for each phenotype that was looked for; their recall
    and false events include what the gates of plasma cells lose. ``diagnosis_known`` says
    whether the phenotype at diagnosis was given, ``reference`` against which normal plasma
    cells the sample was held. ``phenotype`` is kept for the samples that follow.
    """

    evidence: float
    origin: str
    archetype: str
    light_chain: str
    clusters: int
    antigens: tuple[tuple[str, str], ...]
    estimated_events: float
    estimated_events_sd: float
    expectations: tuple[Expectation, ...]
    diagnosis_known: bool
    reference: str
    clonality: ClonalityTest | None = None
    phenotype: DiagnosticPhenotype | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRules:
    """What the panel template says about calling: counts, and what is unverified.

    ``compared`` are the gates whose shares of nucleated cells must agree between tubes of
    one sample. 95 % of marrows without disease stay below ``blank_per_thousand`` aberrant
    events per thousand normal plasma cells.
    """

    panel: str
    version: str
    tubes: int
    decision_count: int
    loq_count: int
    unverified: tuple[str, ...]
    blank_per_thousand: float = 0.0
    compared: tuple[str, ...] = ()
    dilution: DilutionRules = field(default_factory=DilutionRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowEvidence:
    """One sample's tubes. ``input_sha256`` is that of the files, joined in order.

    ``classification`` is None where no tube could be classified. ``distances`` compare the
    normal plasma cells of two tubes marker by marker; ``overrides`` are an analyst's
    corrections that went into the counts.
    """

    sample: Sample
    rules: CallRules
    tubes: tuple[TubeEvidence, ...]
    input_sha256: str
    classification: Classification | None = None
    distances: tuple[PhenotypeDistance, ...] = ()
    overrides: tuple[Override, ...] = ()
