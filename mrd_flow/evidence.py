"""What was counted in the tubes of one sample, before anything is said about it."""

from dataclasses import dataclass

from mrd_flow.anomaly import Anomaly
from pipeline.model import Sample

__all__ = ["CallRules", "FlowEvidence", "FlowSettings", "GateTally", "TubeEvidence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowSettings:
    """Choices of a run.

    ``accepted_false_calls`` is the share of blanks that background alone may call
    detected; ``discordance_p`` and ``discordance_ratio`` say when two tubes contradict
    each other (both must be passed); ``wanted_lod`` is the fraction a sample should be
    able to show, below which it is flagged as having few cells; ``chunk_events`` bounds
    the memory and changes no number.
    """

    accepted_false_calls: float = 0.05
    discordance_p: float = 0.001
    discordance_ratio: float = 2.0
    wanted_lod: float = 1e-5
    chunk_events: int = 1 << 17

    def __post_init__(self) -> None:
        for name in ("accepted_false_calls", "discordance_p", "wanted_lod"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie between 0 and 1")
        if not self.discordance_ratio >= 1 or self.chunk_events < 1:
            raise ValueError("discordance_ratio and chunk_events must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTally:
    """What one gate passed in one tube; ``detail`` gives the boundary in words."""

    gate: str
    path: str
    count: int
    parent_count: int
    rule: str
    detail: str
    unverified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeEvidence:
    """Counts of one tube (1-based ``tube``) and what was odd about its file.

    ``mismatch`` is empty, or says why the file does not fit the panel; the counts are
    then 0. ``background_mean`` is the number of aberrant events expected without
    disease among this tube's plasma cells, ``efficiency`` the share of a clone's cells
    that the gates keep; both come from the template.
    """

    tube: int
    name: str
    events: int
    nucleated: int
    plasma_cells: int
    aberrant: int
    background_mean: float
    efficiency: float
    compensated: bool
    gates: tuple[GateTally, ...]
    anomalies: tuple[Anomaly, ...]
    mismatch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRules:
    """What the panel template says about calling: counts, phenotype and what is unverified."""

    panel: str
    version: str
    phenotype: str
    tubes: int
    decision_count: int
    loq_count: int
    unverified: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowEvidence:
    """One sample's tubes. ``input_sha256`` is that of the files, joined in order."""

    sample: Sample
    rules: CallRules
    tubes: tuple[TubeEvidence, ...]
    input_sha256: str
