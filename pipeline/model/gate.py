"""What one gate did to one tube: counts in and out, and where its boundary came from."""

from dataclasses import dataclass

__all__ = ["GateCount"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCount:
    """Counts of one gate in one tube of one sample.

    ``path`` is the chain of parents joined by ``/``; ``count`` events passed out of
    ``parent_count``. ``rule`` names how the boundary was placed and ``detail`` gives the
    boundary in words. ``unverified`` marks a gate whose published basis is unconfirmed.
    """

    patient_id: str
    timepoint: str
    panel: str
    tube: int
    gate: str
    path: str
    count: int
    parent_count: int
    rule: str
    detail: str
    unverified: bool

    @property
    def percent_parent(self) -> float | None:
        """Events passed as a percentage of the parent's; None where the parent is empty."""
        return 100.0 * self.count / self.parent_count if self.parent_count else None
