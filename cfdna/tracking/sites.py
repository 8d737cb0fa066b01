"""Which of a patient's variants can be counted in this plasma, and why the others cannot."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cfdna.evidence import BloodCount, SiteCount
from cfdna.settings import CfdnaSettings
from pipeline.detection import decision_count_above_background, detection_probability, garwood

__all__ = ["BloodVerdict", "SiteFate", "SiteVerdict", "blood_verdict", "judge_sites"]

_GERMLINE_P = 0.01
_HOMOZYGOUS_VAF = 0.9
_OUTLIER_RATIO = 5.0  # a lost wild-type allele doubles a site's share; more is not the tumour's


class SiteFate(StrEnum):
    """What became of a site: one stable code."""

    USED = "used"
    UNCOVERED = "uncovered"
    REFERENCE_DIFFERS = "reference_differs"
    NOISY = "noisy"
    GERMLINE = "germline"
    GERMLINE_SUSPECTED = "germline_suspected"
    CARRIED_BY_BLOOD = "carried_by_blood"
    OUTLIER = "outlier_among_sites"
    UNINFORMATIVE = "uninformative"


class BloodVerdict(StrEnum):
    """What the blood says of a variant."""

    NOT_GIVEN = "no_blood_control"
    UNCOVERED = "not_covered_in_blood"
    ABSENT = "absent_in_blood"
    TOO_SHALLOW = "blood_too_shallow"
    CARRIED = "carried_by_blood"
    GERMLINE = "germline"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteVerdict:
    """A site with its fate, the reason in words, and what the blood says."""

    site: SiteCount
    fate: SiteFate
    reason: str
    blood: BloodVerdict


def judge_sites(sites: Sequence[SiteCount], settings: CfdnaSettings) -> tuple[SiteVerdict, ...]:
    """Decide of every site whether its molecules are counted.

    Returns
    -------
    tuple of SiteVerdict
        In the order given. All molecule classes of one variant share the fate of the one
        that is worst, but for a class that is only uncovered, noisy or uninformative.
    """
    first = [_by_itself(site, settings) for site in sites]
    first = _germline_without_blood(first, settings)
    return tuple(_outliers(first, settings))


def blood_verdict(
    blood: BloodCount | None, *, given: bool, settings: CfdnaSettings
) -> tuple[BloodVerdict, str]:
    """What blood cells say of a variant, and that in words.

    A variant is carried by blood where the mutant molecules reach the smallest count that
    errors reach with a probability of at most ``blood_alpha``; blood that would not reach it
    at ``blood_vaf`` with probability ``blood_power`` is too shallow to exclude anything.
    """
    if blood is None or blood.depth == 0:
        if not given:
            return BloodVerdict.NOT_GIVEN, "no blood control: clonal haematopoiesis cannot be excluded"
        return BloodVerdict.UNCOVERED, "not covered in blood: clonal haematopoiesis cannot be excluded"
    needed = decision_count_above_background(
        blood.depth * blood.error_rate, minimum=settings.blood_molecules_min, alpha=settings.blood_alpha
    )
    seen = f"{blood.mutant} of {blood.depth} molecules in blood"
    if blood.mutant >= needed:
        if _is_germline(blood):
            return BloodVerdict.GERMLINE, f"{seen}: compatible with a germline allele"
        return BloodVerdict.CARRIED, f"{seen}, {needed} decide: carried by blood cells"
    mean = blood.depth * (settings.blood_vaf + blood.error_rate)
    power = detection_probability(mean, needed)
    if power < settings.blood_power:
        return BloodVerdict.TOO_SHALLOW, (
            f"{seen}: blood too shallow, a variant at {settings.blood_vaf:.2%} would show with "
            f"probability {power:.2f} only"
        )
    return BloodVerdict.ABSENT, f"{seen}: not carried at {settings.blood_vaf:.2%}"


def _is_germline(blood: BloodCount) -> bool:
    from scipy.stats import binomtest

    vaf = blood.mutant / blood.depth
    return vaf >= _HOMOZYGOUS_VAF or float(binomtest(blood.mutant, blood.depth, 0.5).pvalue) >= _GERMLINE_P


def _by_itself(site: SiteCount, settings: CfdnaSettings) -> SiteVerdict:
    verdict, in_words = blood_verdict(site.blood, given=site.blood_given, settings=settings)
    ref, alt = site.variant.ref, site.variant.alt
    fate, reason = SiteFate.USED, in_words
    if verdict in (BloodVerdict.GERMLINE, BloodVerdict.CARRIED):
        fate = SiteFate.GERMLINE if verdict is BloodVerdict.GERMLINE else SiteFate.CARRIED_BY_BLOOD
    elif site.reference_seen and site.reference_seen not in (ref, alt):
        fate = SiteFate.REFERENCE_DIFFERS
        reason = f"most molecules show {site.reference_seen}, the list says {ref}>{alt}"
    elif site.depth == 0:
        fate, reason = SiteFate.UNCOVERED, "no molecule covers the site"
    elif site.error_rate > settings.site_error_rate_max:
        fate = SiteFate.NOISY
        reason = f"background {site.error_rate:.2g} a molecule is above {settings.site_error_rate_max:.2g}"
    return SiteVerdict(site=site, fate=fate, reason=reason, blood=verdict)


def _germline_without_blood(verdicts: list[SiteVerdict], settings: CfdnaSettings) -> list[SiteVerdict]:
    """Sites near one half or one, without blood to tell, where the other sites say far less."""
    changed = []
    for verdict in verdicts:
        vaf = verdict.site.vaf
        suspect = (
            verdict.fate is SiteFate.USED
            and verdict.blood is not BloodVerdict.ABSENT
            and vaf is not None
            and verdict.site.mutant >= settings.mutant_molecules_min
            and vaf >= settings.germline_vaf_min
        )
        if suspect and vaf is not None:
            others = [
                v for v in verdicts if v.fate is SiteFate.USED and v.site.variant != verdict.site.variant
            ]
            most = _highest_share(others, settings)
            if most is not None and vaf > _OUTLIER_RATIO * most:
                reason = (
                    f"{vaf:.0%} of molecules where the other sites allow {most:.2g} at most, and no blood to "
                    "tell: germline suspected"
                )
                verdict = _with(verdict, SiteFate.GERMLINE_SUSPECTED, reason)
        changed.append(verdict)
    return changed


def _outliers(verdicts: list[SiteVerdict], settings: CfdnaSettings) -> list[SiteVerdict]:
    """Take out, one at a time, the variant whose mutant molecules the other sites explain least."""
    from scipy.special import pdtrc

    while True:
        used = [v for v in verdicts if v.fate is SiteFate.USED]
        variants = sorted(
            {v.site.variant.key for v in used if v.site.mutant >= settings.mutant_molecules_min}
        )
        worst: tuple[float, tuple[str, int, str, str], str] | None = None
        for key in variants:
            own = [v.site for v in used if v.site.variant.key == key]
            others = [v for v in used if v.site.variant.key != key]
            most = _highest_share(others, settings)
            if most is None:
                continue
            expected = sum(s.depth * s.error_rate + most * s.informative for s in own)
            seen = sum(s.mutant for s in own)
            chance = float(pdtrc(seen - 1, expected))
            limit = settings.outlier_alpha / len({v.site.variant.key for v in used})
            if chance < limit and seen > _OUTLIER_RATIO * expected and (worst is None or chance < worst[0]):
                reason = (
                    f"{seen} mutant molecules where the other sites allow {expected:.2g} (p {chance:.1g}): "
                    "another origin or a site's own noise"
                )
                worst = (chance, key, reason)
        if worst is None:
            return verdicts
        verdicts = [
            _with(v, SiteFate.OUTLIER, worst[2])
            if v.fate is SiteFate.USED and v.site.variant.key == worst[1]
            else v
            for v in verdicts
        ]


def _highest_share(verdicts: Sequence[SiteVerdict], settings: CfdnaSettings) -> float | None:
    """Upper bound of the mutant share at a heterozygous site, from these sites; None without signal."""
    share = settings.allele_share
    signal = sum(v.site.informative * (v.site.variant.allele_share or share) / share for v in verdicts)
    if signal <= 0:
        return None
    seen = sum(v.site.mutant for v in verdicts)
    background = sum(v.site.depth * v.site.error_rate for v in verdicts)
    return max(garwood(seen).high - background, garwood(0).high) / signal


def _with(verdict: SiteVerdict, fate: SiteFate, reason: str) -> SiteVerdict:
    return SiteVerdict(site=verdict.site, fate=fate, reason=reason, blood=verdict.blood)
