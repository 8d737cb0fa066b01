"""The background, learned from controls or from a sample outside its candidates.

What more than ``max_vaf_error`` of a sample's molecules have, or two duplex molecules, is a variant and
teaches nothing. Rates of contexts shrink towards their substitution's mean, that one towards the class's,
in the manner of gamma priors worth a few errors each, so that no rate is zero.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputRefused
from pipeline.formats.bed import Target
from pipeline.variants.calling.background import (
    CLASS_OF_STRAND,
    INDEL_KINDS,
    Background,
    SiteErrors,
    indel_kind,
)
from pipeline.variants.calling.contexts import CONTEXTS, RUN_MAX_NT, Surroundings, reverse_context
from pipeline.variants.evidence import Allele, SiteEvidence

__all__ = ["BackgroundLearner"]

_ASSUMED = np.array([2e-4, 5e-5, 1e-6])  # where nothing was seen: single reads, families, duplex
_ASSUMED_INDEL = np.array([1e-5, 5e-6, 1e-6])
_PRIOR_ERRORS = (1.0, 2.0, 5.0)  # what the prior of a class, a substitution, a context is worth
_SHAPE_RANGE = (2.0, 50.0)
_LONG_RUN_NT, _SLIPPAGE_MAX = 8, 0.3
_OWN_SHAPE = 4.0  # without controls nothing is known of single sites: they may differ widely
_REVERSE = np.array([False, True, False, True, False])
_Three = NDArray[np.float64]


class BackgroundLearner:
    """Collects windows of evidence.

    Parameters
    ----------
    targets
        Where sites are kept apart; all samples have the same.
    max_vaf_error, fragment_end_nt
        See `pipeline.variants.calling.settings.CallSettings`.
    """

    def __init__(
        self, targets: Sequence[Target], *, max_vaf_error: float = 0.02, fragment_end_nt: int = 10
    ) -> None:
        self._end_nt = fragment_end_nt
        self._targets = tuple(targets)
        self._max_vaf = max_vaf_error
        self._molecules = np.zeros((CONTEXTS, 4, 3))
        self._errors = np.zeros((CONTEXTS, 4, 3))
        self._spanning = np.zeros((len(INDEL_KINDS), RUN_MAX_NT + 1, 3))
        self._indels = np.zeros((len(INDEL_KINDS), RUN_MAX_NT + 1, 3))
        self._site_molecules: dict[tuple[str, int], _Three] = {}
        self._site_spanning: dict[tuple[str, int], _Three] = {}
        self._site_errors: dict[tuple[str, int, str, str], int] = {}
        self._context_of: dict[tuple[str, int], int] = {}
        self._run_of: dict[tuple[str, int], int] = {}
        self._has_umis: bool | None = None

    def add(self, evidence: SiteEvidence, around: Surroundings) -> None:
        """Count one window of one sample.

        Raises
        ------
        InputRefused
            If some samples have UMIs and others not.
        """
        if self._has_umis not in (None, evidence.has_umis):
            raise InputRefused(
                "samples with and without UMIs cannot share a background",
                remedy="learn one from the samples of each kind",
            )
        self._has_umis = evidence.has_umis
        taken = self._errors_of(evidence)
        self._add_substitutions(evidence, around, taken)
        self._add_indels(evidence, around)
        self._add_sites(evidence, around, taken)

    def finish(self, samples: int) -> Background:
        """The background of so many control samples; 0 where the sample taught itself."""
        substitution = _shrunk(self._errors, self._molecules)
        indel = _shrunk_indels(self._indels, self._spanning)
        sites = SiteErrors()
        shape = _OWN_SHAPE
        if samples:
            shape = self._shape(substitution)
            sites = SiteErrors(
                molecules={key: _tuple(n) for key, n in self._site_molecules.items()},
                spanning={key: _tuple(n) for key, n in self._site_spanning.items()},
                errors=dict(self._site_errors),
            )
        return Background(
            substitution=substitution,
            indel=indel,
            shape=shape,
            sites=sites,
            samples=samples,
            has_umis=bool(self._has_umis),
        )

    def _errors_of(self, evidence: SiteEvidence) -> NDArray[np.int64]:
        """Molecules with each base, (sites, 4, 5), without variants, and without what fragment ends show."""
        counts = evidence.counts[:, :4].astype(np.int64)
        depth = np.maximum(1, counts.sum(axis=(1, 2)))
        variant = (counts.sum(axis=2) > self._max_vaf * depth[:, None]) | (counts[..., 4] >= 2)
        variant &= counts.sum(axis=2) > 1
        seen = np.zeros_like(counts)
        rows = evidence.observations[evidence.observations["end_distance"] >= self._end_nt]
        base = np.array(["ACGT".find(a.alt) if len(a.ref) == len(a.alt) else -1 for a in evidence.alleles])
        site = np.array([a.position - evidence.start for a in evidence.alleles], dtype=np.int64)
        if len(rows):
            rows = rows[base[rows["allele"]] >= 0]
            of = rows["allele"]
            np.add.at(seen, (site[of], base[of], rows["strand_class"]), 1)
        return np.where(variant[..., None], 0, seen)

    def _add_substitutions(
        self, evidence: SiteEvidence, around: Surroundings, errors: NDArray[np.int64]
    ) -> None:
        known = around.context >= 0
        context = around.context[known]
        turned = reverse_context(context)
        molecules = evidence.counts[known, :4].sum(axis=1)
        for strand, row in enumerate(CLASS_OF_STRAND):
            keys = [turned] if _REVERSE[strand] else [context]
            if row == 2:
                keys = [context, turned]  # both strands agree, so both readings are the same molecule's
            for key in keys:
                flip = key is turned
                for base in range(4):
                    seen = errors[known, 3 - base if flip else base, strand]
                    self._errors[:, base, row] += np.bincount(key, seen, CONTEXTS)
                    self._molecules[:, base, row] += np.bincount(key, molecules[:, strand], CONTEXTS)

    def _add_indels(self, evidence: SiteEvidence, around: Surroundings) -> None:
        run = np.minimum(around.run_after, RUN_MAX_NT)
        for strand, row in enumerate(CLASS_OF_STRAND):
            spanning = np.bincount(run, evidence.spanning[:, strand], RUN_MAX_NT + 1)
            self._spanning[:, :, row] += spanning
        for index, allele in enumerate(evidence.alleles):
            if len(allele.ref) == len(allele.alt):
                continue
            rows = evidence.observed(index)
            classes = rows["strand_class"][rows["end_distance"] >= self._end_nt]
            site = allele.position - evidence.start
            behind = int(around.run_after[site])
            if self._is_variant(len(classes), int(evidence.spanning[site].sum()), behind):
                continue
            kind = indel_kind(allele.ref, allele.alt, behind, around.next_base(site))
            np.add.at(self._indels[kind, run[site]], CLASS_OF_STRAND[classes], 1)
            self._count(evidence.contig, allele, len(classes))

    def _is_variant(self, molecules: int, spanning: int, run_nt: int) -> bool:
        """Duplex molecules slip too, so two of them alone make no variant; long runs slip in many."""
        most = max(self._max_vaf, _SLIPPAGE_MAX if run_nt >= _LONG_RUN_NT else 0.0)
        return molecules > 1 and molecules > most * max(1, spanning)

    def _count(self, contig: str, allele: Allele, molecules: int) -> None:
        key = (contig, allele.position, allele.ref, allele.alt)
        self._site_errors[key] = self._site_errors.get(key, 0) + molecules

    def _add_sites(self, evidence: SiteEvidence, around: Surroundings, errors: NDArray[np.int64]) -> None:
        molecules = _by_class(evidence.counts[:, :4].sum(axis=1))
        spanning = _by_class(evidence.spanning)
        for site in range(evidence.sites):
            key = (evidence.contig, evidence.start + site)
            self._site_molecules[key] = self._site_molecules.get(key, 0.0) + molecules[site]
            self._site_spanning[key] = self._site_spanning.get(key, 0.0) + spanning[site]
            self._context_of[key] = int(around.context[site])
        for site, base in np.argwhere(errors.sum(axis=2) > 0):
            ref = evidence.reference[site]
            if "ACGT"[base] != ref and ref != "N":
                allele = Allele(position=evidence.start + int(site), ref=ref, alt="ACGT"[base])
                self._count(evidence.contig, allele, int(errors[site, base].sum()))

    def _shape(self, substitution: NDArray[np.float64]) -> float:
        """Gamma shape of the sites' factors, by moments: a site's count has variance E + E^2 / shape."""
        keys = [key for key, context in self._context_of.items() if context >= 0]
        context = np.array([self._context_of[key] for key in keys])
        molecules = np.array([self._site_molecules[key] for key in keys])
        both = (substitution + substitution[reverse_context(np.arange(CONTEXTS))][:, ::-1]) / 2
        expected = (both[context] * molecules[:, None, :]).sum(axis=2)
        seen = np.zeros_like(expected)
        place = {key: i for i, key in enumerate(keys)}
        for (contig, position, ref, alt), count in self._site_errors.items():
            if len(ref) == len(alt) == 1 and (contig, position) in place:
                seen[place[contig, position], "ACGT".index(alt)] = count
        expected[np.arange(len(keys)), (context >> 2) & 3] = 0
        excess = float(((seen - expected) ** 2 - expected).sum())
        shape = float((expected**2).sum()) / excess if excess > 0 else _SHAPE_RANGE[1]
        return float(np.clip(shape, *_SHAPE_RANGE))


def _by_class(strands: NDArray[np.uint32]) -> NDArray[np.float64]:
    """(sites, 5) by strand class → (sites, 3)."""
    counts = strands.astype(np.float64)
    return np.stack([counts[:, 0] + counts[:, 1], counts[:, 2] + counts[:, 3], counts[:, 4]], axis=1)


def _tuple(values: _Three) -> tuple[float, float, float]:
    return (float(values[0]), float(values[1]), float(values[2]))


def _towards(errors: _Three, molecules: _Three, prior: _Three, worth: float) -> _Three:
    """Rates with a gamma prior of that mean, worth so many errors.

    Where the errors seen contradict it (two standard deviations of their own above it), they alone count: a
    prior of few errors at a low rate is worth many molecules, and would hide a frequent error.
    """
    shrunk: _Three = (errors + worth) / (molecules + worth / prior)
    contradicted = (errors >= 3) & (errors - 2 * np.sqrt(errors) > shrunk * molecules)
    return np.where(contradicted, errors / np.maximum(molecules, 1), shrunk)


def _shrunk(errors: _Three, molecules: _Three) -> _Three:
    base = (np.arange(CONTEXTS) >> 2) & 3
    other = base[:, None] != np.arange(4)
    errors, molecules = errors * other[..., None], molecules * other[..., None]
    overall = _towards(errors.sum(axis=(0, 1)), molecules.sum(axis=(0, 1)), _ASSUMED, _PRIOR_ERRORS[0])
    rates = np.ones_like(errors)
    for ref in range(4):
        for alt in range(4):
            mine = base == ref
            seen, of = errors[mine, alt], molecules[mine, alt]
            mean = _towards(seen.sum(axis=0), of.sum(axis=0), overall, _PRIOR_ERRORS[1])
            rates[mine, alt] = _towards(seen, of, mean, _PRIOR_ERRORS[2])
    return rates


def _shrunk_indels(errors: _Three, spanning: _Three) -> _Three:
    """By kind and run; a run takes its prior from the next shorter one, which slips less."""
    rates = np.ones_like(errors)
    for kind in range(len(INDEL_KINDS)):
        prior = _towards(errors.sum(axis=(0, 1)), spanning.sum(axis=(0, 1)), _ASSUMED_INDEL, 1.0)
        prior = np.minimum(prior, _ASSUMED_INDEL)
        for run in range(RUN_MAX_NT + 1):
            seen, of = errors[kind, run], spanning[kind, run]
            prior = _towards(seen, of, prior, _PRIOR_ERRORS[0])
            if run >= _LONG_RUN_NT and INDEL_KINDS[kind].startswith("run_"):
                # Few runs are so long, and each base more doubles slippage: shorter ones promise nothing.
                prior = np.maximum(prior, np.where(of > 0, (seen + 0.5) / np.maximum(of, 1), 2 * prior))
                prior = np.minimum(prior, _SLIPPAGE_MAX)
            rates[kind, run] = prior
    return rates
