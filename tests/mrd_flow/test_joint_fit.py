"""Normal cells and a clone fitted together: what the fit costs, and that neither takes the other's place."""

import dataclasses

import numpy as np
import pytest

from mrd_flow.plasma_cells.clone_search import Clone, cost, fit_clone
from mrd_flow.plasma_cells.clone_templates import CloneTemplate
from mrd_flow.plasma_cells.joint_fit import joined
from mrd_flow.plasma_cells.tube_fit import start_fit
from mrd_flow.reference.adaptation import adapt, log_prior, settled_weights, unadapted
from mrd_flow.reference.gaussian_mixture import Gaussians, log_densities
from mrd_flow.reference.normal_reference import TAIL, NormalReference

_FEATURES = ("CD38", "CD19", "CD56")
_SPREAD = 0.05


@pytest.fixture(scope="module")
def reference():
    """CD19+ and CD19- cells, and everything else."""
    means = ((0.6, 0.4, 0.05), (0.6, 0.05, 0.05), (0.6, 0.2, 0.2))
    narrow, wide = _SPREAD**2 * np.eye(3), 0.3**2 * np.eye(3)
    return NormalReference(
        panel="own",
        tube=1,
        version="1",
        command="c",
        unverified="",
        marrows=2,
        cells=1_000,
        features=_FEATURES,
        names=("CD19+", "CD19-", "other"),
        levels=((0, 1, 0), (0, 0, 0), (0, 0, 0)),
        sorts=(0, 1, -1),
        weights=(0.8, 0.199, 0.001),
        sort_spread=(2.0, 0.7, 0.7),
        weight_spread=(0.3, 0.3, 0.3),
        means=means,
        covariances=tuple(tuple(map(tuple, c.tolist())) for c in (narrow, narrow, wide)),
        shift_spread=((0.01, 0.01),) * 3,
        deviances=(0.0,) * len(TAIL),
    )


def _cells(rng, *parts):
    """Cells about each of some means, as many as stated."""
    return np.concatenate([m + _SPREAD * rng.standard_normal((n, 3)) for n, m in parts])


_POSITIVE, _NEGATIVE, _CLONE = (
    np.array([0.6, 0.4, 0.05]),
    np.array([0.6, 0.05, 0.05]),
    np.array([0.6, 0.05, 0.2]),
)


def _template(cells=200.0):
    return CloneTemplate(
        name="CD56+",
        origin="archetype",
        light_chain="",
        levels=(),
        mean=_CLONE,
        covariance=_SPREAD**2 * np.eye(3),
        mean_spread=np.full(3, 0.03),
        covariance_cells=cells,
        prior=1.0,
    )


def _clone(weight, covariance, template, size):
    return Clone(
        template=template,
        weight=weight,
        mean=template.mean,
        covariance=covariance,
        log_density=np.zeros(size),
        evidence=0.0,
    )


def test_freedom_of_the_covariance_costs_what_its_prior_spreads_the_likelihood_over():
    """Against cells predicted one after another by Student's law, which averages over an inverse Wishart."""
    from scipy.stats import multivariate_normal, multivariate_t

    rng = np.random.default_rng(1)
    known, size, features = 20.0, 30, 3
    template = _template(known)
    off = 0.07 * rng.standard_normal((size, features))
    scatter = known * template.covariance
    predicted = 0.0
    for i, cell in enumerate(off):
        freedom = known + i - features + 1
        predicted += multivariate_t(np.zeros(features), scatter / freedom, freedom).logpdf(cell)
        scatter = scatter + np.outer(cell, cell)
    fitted = scatter / (known + size)
    plain = multivariate_normal(np.zeros(features), fitted).logpdf(off).sum()
    clone = _clone(1.0, fitted, template, size)
    of_mean = 0.5 * np.log1p(size * template.mean_spread**2 / np.diagonal(fitted)).sum()
    assert cost(clone, size) - of_mean == pytest.approx(plain - predicted, rel=1e-9)


def test_a_clone_that_may_not_differ_from_its_template_costs_nothing():
    rigid = dataclasses.replace(_template(1e9), mean_spread=np.full(3, 1e-9))
    assert cost(_clone(0.5, rigid.covariance, rigid, 100), 100) == pytest.approx(0.0, abs=1e-4)


def test_a_large_clone_does_not_take_the_reference_along(reference):
    """60 % of the cells are the clone's: normal cells stay where and as many as they are."""
    rng = np.random.default_rng(2)
    cells = _cells(rng, (1_600, _POSITIVE), (400, _NEGATIVE), (3_000, _CLONE))
    alone = start_fit(1, cells, reference)
    joint = joined(alone, fit_clone(cells, alone.log_known, _template()))
    (clone,) = joint.clones
    assert clone.weight == pytest.approx(0.6, abs=0.02)
    assert clone.evidence > 1_000
    assert np.exp(joint.adapted.log_weights[:2]) == pytest.approx([0.8, 0.2], abs=0.02)
    assert np.abs(joint.adapted.shifts).max() < 0.01
    assert (joint.posterior[2_000:] > 0.5).mean() > 0.85
    assert (joint.posterior[:1_600] > 0.5).mean() < 0.001


def test_no_clone_has_no_evidence(reference):
    rng = np.random.default_rng(3)
    cells = _cells(rng, (1_600, _POSITIVE), (400, _NEGATIVE))
    alone = start_fit(1, cells, reference)
    joint = joined(alone, fit_clone(cells, alone.log_known, _template()))
    assert joint.clones[0].evidence < 0
    assert joined(alone, None) is alone


def test_weights_settle_where_the_likelihood_is_largest(reference):
    """Against a search on a grid; what stands beside the reference has no prior."""
    rng = np.random.default_rng(4)
    cells = _cells(rng, (300, _NEGATIVE), (100, _CLONE))
    densities = log_densities(cells, reference.gaussians)
    beside = log_densities(cells, Gaussians(means=_CLONE[None], covariances=(_SPREAD**2 * np.eye(3))[None]))
    start = unadapted(reference).log_weights
    log_weights, shares = settled_weights(
        reference, densities, start, np.ones(400), beside=beside, beside_weights=np.array([0.1])
    )
    assert np.exp(log_weights).sum() == pytest.approx(1.0)
    normal = np.exp(log_weights) @ np.exp(densities)
    grid = np.linspace(0.01, 0.6, 600)
    likelihood = [np.log((1 - w) * normal + w * np.exp(beside[0])).sum() for w in grid]
    assert shares[0] == pytest.approx(grid[int(np.argmax(likelihood))], abs=0.002)


def test_a_strained_reference_is_less_probable_than_one_at_rest(reference):
    rng = np.random.default_rng(5)
    usual = adapt(reference, _cells(rng, (1_600, _POSITIVE), (400, _NEGATIVE)))
    unusual = adapt(reference, _cells(rng, (30, _POSITIVE), (2_000, _NEGATIVE + 0.06)))
    assert log_prior(unadapted(reference)) == pytest.approx(0.0, abs=1e-9)
    assert -3 < log_prior(usual) <= 0
    assert log_prior(unusual) < log_prior(usual) - 5
