"""Why a candidate is rejected: named reasons, each with what it looks at."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.variants.calling.background import INDEL_KINDS
from pipeline.variants.calling.candidates import Candidate
from pipeline.variants.calling.settings import CallSettings
from pipeline.variants.evidence import ObservationFlag

__all__ = ["FILTERS", "SiteNumbers", "reasons_against"]

FILTERS = {
    "few_molecules": "Fewer molecules than a call needs",
    "background": "Error alone explains the evidence, at the false positive rate chosen",
    "slippage": "Gain or loss in a run of equal bases that is no more frequent than slippage",
    "one_strand": "Without duplex support, molecules of one strand only, although others were of both",
    "damage": "Substitution and strand of oxidation or deamination, without duplex support",
    "fragment_end": "At fragment ends, where end repair writes errors",
    "mapping": "Supporting molecules map poorly, or most reads of the site do",
    "clustered": "Supporting molecules differ from the reference in many other places",
    "near_indel": "An insertion or deletion of the same molecules beside it explains it",
    "clipped": "Supporting reads are clipped beside it",
    "not_detected": "Asked for by --sites, looked for and not called",
    "no_coverage": "Asked for by --sites, but no molecule covers it",
}
_FORWARD, _REVERSE = (0, 2), (1, 3)  # strand classes of one strand alone
# What damage writes, as the forward strand shows it; the reverse strand shows the complement.
_DAMAGE = {("C", "T"), ("G", "T")}
_DAMAGE_REVERSE = {("G", "A"), ("C", "A")}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SiteNumbers:
    """What the reasons need beside the molecules: of the candidate's site.

    ``molecules`` of the five strand classes that could show it; ``run_gain_or_loss``: the allele adds one
    base to a run of equal bases or takes one.
    """

    molecules: NDArray[np.float64]
    p_value: float
    reads: int
    low_mapping: int
    indel_kind: int | None


def reasons_against(candidate: Candidate, site: SiteNumbers, settings: CallSettings) -> tuple[str, ...]:
    """Names of `FILTERS`, in their order; none for a call."""
    rows = candidate.observations
    weak = site.p_value > settings.alpha
    in_run = site.indel_kind is not None and INDEL_KINDS[site.indel_kind].startswith("run_")
    single = len(candidate.parts) == 1
    substitution = len(candidate.allele.ref) == len(candidate.allele.alt)
    uneven = _uneven_strands(candidate, site)
    found = {
        "few_molecules": len(rows) < settings.min_molecules,
        "background": weak and not in_run,
        "slippage": weak and in_run,
        "one_strand": uneven < settings.strand_p,
        "damage": uneven < 5 * settings.strand_p and _looks_like_damage(candidate),
        "fragment_end": float(np.median(rows["end_distance"])) < settings.fragment_end_nt,
        "mapping": _maps_poorly(rows, site, settings),
        "clustered": float(np.mean(rows["mismatches"])) - (len(candidate.parts) - 1)
        > settings.max_mismatches,
        "near_indel": single and substitution and _share(rows, ObservationFlag.NEAR_INDEL) >= 0.5,
        "clipped": _share(rows, ObservationFlag.CLIPPED) > 0.6,
    }
    return tuple(name for name, against in found.items() if against)


def _share(rows: NDArray[np.void], flag: ObservationFlag) -> float:
    return float(np.mean((rows["flags"] & int(flag)) > 0))


def _maps_poorly(rows: NDArray[np.void], site: SiteNumbers, settings: CallSettings) -> bool:
    known = rows["mapping_quality"][rows["mapping_quality"] < 255]
    poor = len(known) > 0 and float(known.mean()) < settings.min_mapping_quality
    total = site.reads + site.low_mapping
    return poor or (total > 0 and site.low_mapping > settings.max_low_mapping * total)


def _uneven_strands(candidate: Candidate, site: SiteNumbers) -> float:
    """Probability that all molecules are of the one strand by chance; 1 with duplex support or both strands.

    Exact: the site's own shares of single-strand molecules, to the number of supporting ones.
    """
    counts = candidate.by_strand_class
    forward, reverse = int(counts[list(_FORWARD)].sum()), int(counts[list(_REVERSE)].sum())
    if counts[4] or (forward and reverse):
        return 1.0
    of = np.array([site.molecules[list(_FORWARD)].sum(), site.molecules[list(_REVERSE)].sum()])
    if of.sum() == 0:
        return 1.0
    share = float(of[0 if forward else 1] / of.sum())
    return float(share ** (forward + reverse))


def _looks_like_damage(candidate: Candidate) -> bool:
    change = (candidate.allele.ref, candidate.allele.alt)
    counts = candidate.by_strand_class
    forward = counts[list(_FORWARD)].sum() > 0
    return change in (_DAMAGE if forward else _DAMAGE_REVERSE)
