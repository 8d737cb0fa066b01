"""How often a read of one sample of a run ends in another."""

from collections.abc import Sequence
from dataclasses import dataclass

from mrd_ngs.run_tally import Tally, donor_reads, is_shared
from mrd_ngs.settings import NgsSettings
from pipeline.detection import garwood
from pipeline.detection.tails import gamma_lower
from pipeline.model import Marker

__all__ = ["HopRate", "estimate_hop_rate", "fixed_hop_rate"]

_TRIMMED = 4  # one pair in four, those with most reads per donor read, is left out at the start
_IMPLAUSIBLE = 1e-3  # a pair that hopping at the run's rate reaches more rarely does not inform the rate
_ROUNDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class HopRate:
    """Share of a donor's reads expected in each other sample of the run.

    ``rate`` is the best estimate and ``high`` what is reckoned with: the upper 97.5 %
    bound, as far as it is not above the assumed rate while the estimate is below.
    ``pairs`` of marker and foreign sample inform it, with ``reads`` of ``donor_reads``.
    ``basis`` says where it comes from.
    """

    rate: float
    high: float
    pairs: int
    reads: int
    donor_reads: int
    basis: str


def estimate_hop_rate(tallies: Sequence[Tally], markers: Sequence[Marker], settings: NgsSettings) -> HopRate:
    """The rate from reads of markers in samples of other patients.

    Pairs with most reads per donor read are left out at first, so that carry-over and
    exchanged samples do not pass for hopping; then all come back that the rate explains.
    """
    pairs = sorted(
        (
            (tally.marker_reads[column], donors)
            for column, marker in enumerate(markers)
            for number, tally in enumerate(tallies)
            if tally.patient_id != marker.patient_id
            and not is_shared(marker, tally.patient_id, markers)
            and (donors := donor_reads(tallies, column, number))
            and tally.marker_reads[column] <= settings.hop_rate_max * donors
        ),
        key=lambda pair: (pair[0] / pair[1], pair),
    )
    if not pairs:
        basis = "assumed: no marker of one patient was looked for in a sample of another"
        return fixed_hop_rate(settings.hop_rate_assumed, basis)
    used = pairs[: len(pairs) - len(pairs) // _TRIMMED]
    for _ in range(_ROUNDS):
        high = _upper(used)
        informative = [pair for pair in pairs if _tail(pair[0], high * pair[1]) >= _IMPLAUSIBLE]
        if informative == used:
            break
        used = informative
    reads, donors = sum(pair[0] for pair in used), sum(pair[1] for pair in used)
    rate = reads / donors
    return HopRate(
        rate=rate,
        high=min(_upper(used), max(rate, settings.hop_rate_assumed)),
        pairs=len(used),
        reads=reads,
        donor_reads=donors,
        basis="estimated from the markers of the run in samples of other patients",
    )


def _upper(pairs: Sequence[tuple[int, int]]) -> float:
    return garwood(sum(pair[0] for pair in pairs)).high / sum(pair[1] for pair in pairs)


def _tail(reads: int, mean: float) -> float:
    """P(X >= reads) of a Poisson count."""
    return gamma_lower(reads, mean) if reads else 1.0


def fixed_hop_rate(hop_rate: float, basis: str) -> HopRate:
    """A rate that no read of this run informs."""
    return HopRate(rate=hop_rate, high=hop_rate, pairs=0, reads=0, donor_reads=0, basis=basis)
