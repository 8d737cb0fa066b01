"""Scales as the engine holds them, against the formulas of Gating-ML 2.0 and FlowJo's table."""

import math

import numpy as np
import pytest
from flowkit import transforms as ft

from mrd_flow.engine.shape_kernels import scaled
from mrd_flow.engine.transforms import linear_bound, logicle_scale, scale_of
from pipeline.errors import InputRefused

T, W, M, A = 262144.0, 0.5, 4.5, 0.25
TRANSFORMS = [
    ft.LinearTransform(T, 100),
    ft.LogTransform(T, M),
    ft.AsinhTransform(T, M, A),
    ft.LogicleTransform(T, W, M, A),
    ft.LogicleTransform(1024, 1.0, 4.0, 0),
    ft.HyperlogTransform(T, W, M, A),
    ft.WSPLogTransform(25, 4.2),
    ft.WSPBiexTransform(-20, -100, 4.418540, 262144.000029),
    ft.WSPBiexTransform(1, -10, 4.418540, 262144.000029),
]


def kernel_values(scale, values):
    n = scale.numbers
    return np.array([scaled(float(v), scale.kind, *n, scale.table, 0) for v in values])


@pytest.mark.parametrize("transform", TRANSFORMS, ids=repr)
def test_the_kernel_is_within_its_stated_doubt_of_the_reference(transform):
    rng = np.random.default_rng(8)
    top = getattr(transform, "param_t", T)
    values = np.concatenate([rng.uniform(-0.1 * top, top, 20_000), top * 10 ** rng.uniform(-6, 0, 20_000)])
    if isinstance(transform, ft.LogTransform):
        values = values[values > 0]
    scale = scale_of(transform)
    gap = np.abs(kernel_values(scale, values) - scale.exact(values))
    assert gap.max() <= scale.doubt
    assert scale.doubt <= (2.0 if isinstance(transform, ft.WSPBiexTransform) else 1e-5)


@pytest.mark.parametrize("transform", TRANSFORMS, ids=repr)
def test_a_bound_on_the_scale_is_a_bound_of_linear_values(transform):
    scale = scale_of(transform)
    bottom, top = scale.exact(np.array([max(1.0, scale.floor), 0.9 * getattr(transform, "param_t", T)]))
    for share in (0.01, 0.3, 0.7, 1.0):
        bound = bottom + share * (top - bottom)
        x = linear_bound(scale, bound)
        nearest = np.array([x - 1e-6 * max(1, abs(x)), x + 1e-9 * max(1, abs(x))])
        below, above = scale.exact(nearest)
        assert below < bound <= above + 1e-12 * abs(above)


def test_formulas_of_the_standard():
    """Gating-ML 2.0, section 6: closed forms, and hyperlog and logicle by their inverse functions."""
    x = np.array([-500.0, 3.0, 1_000.0, 100_000.0])
    b, w, x2 = (M + A) * math.log(10), W / (M + A), A / (M + A)
    x1 = x2 + w
    x0 = x2 + 2 * w
    # hyperlog: a e^(b y) + c y - f
    e0 = math.exp(b * x0)
    ca = e0 / w
    fa = math.exp(b * x1) + ca * x1
    a = T / (math.exp(b) + ca - fa)
    y = scale_of(ft.HyperlogTransform(T, W, M, A)).exact(x)
    mirrored = np.where(x < 0, 2 * x1 - y, y)  # below zero the function is turned about its zero
    there = np.sign(x) * (a * np.exp(b * mirrored) + ca * a * mirrored - fa * a)
    np.testing.assert_allclose(there, x, rtol=1e-9)
    # logicle: a e^(b y) - c e^(-d y) - f, with d the root of 2 (ln d - ln b) + w (b + d) = 0
    low, d = 0.0, b
    for _ in range(200):
        middle = (low + d) / 2
        low, d = (middle, d) if 2 * (math.log(middle) - math.log(b)) + w * (b + middle) < 0 else (low, middle)
    cb = math.exp(x0 * (b + d))
    f = math.exp(b * x1) - cb * math.exp(-d * x1)
    a = T / (math.exp(b) - cb * math.exp(-d) - f)
    y = scale_of(ft.LogicleTransform(T, W, M, A)).exact(x)
    mirrored = np.where(x < 0, 2 * x1 - y, y)
    there = np.sign(x) * a * (np.exp(b * mirrored) - cb * np.exp(-d * mirrored) - f)
    np.testing.assert_allclose(there, x, rtol=1e-9)
    np.testing.assert_allclose(
        kernel_values(scale_of(ft.LinearTransform(T, 100)), x), (x + 100) / (T + 100), rtol=1e-14
    )
    asinh = (np.arcsinh(x * np.sinh(M * np.log(10)) / T) + A * np.log(10)) / ((M + A) * np.log(10))
    np.testing.assert_allclose(kernel_values(scale_of(ft.AsinhTransform(T, M, A)), x), asinh, rtol=1e-12)
    log = np.log10(x[1:] / T) / M + 1
    np.testing.assert_allclose(kernel_values(scale_of(ft.LogTransform(T, M)), x[1:]), log, rtol=1e-12)


def test_flowjo_biex_equals_flowjos_own_table(shared_data):
    """FlowJo wrote, for each of 4096 channels, the linear value; six digits, so .01 of a channel."""
    (file,) = (shared_data / "flow").glob("tr_biex*.csv")
    channel, linear = np.loadtxt(file, delimiter=",", skiprows=1).T
    scale = scale_of(ft.WSPBiexTransform(1.0, -7.943282, 4.418540, 262144.000029))
    assert len(channel) == 4096
    np.testing.assert_allclose(scale.exact(linear), channel, atol=0.01)
    np.testing.assert_allclose(kernel_values(scale, linear), channel, atol=0.01 + scale.doubt)


def test_an_unknown_transform_is_refused():
    class CubeTransform:
        pass

    with pytest.raises(InputRefused, match="CubeTransform is not known"):
        scale_of(CubeTransform())


def test_the_logicle_of_a_panel_is_flowkits():
    ours, theirs = logicle_scale(T, W, M, A), scale_of(ft.LogicleTransform(T, W, M, A))
    assert (ours.kind, ours.numbers, ours.reach, ours.doubt) == (
        theirs.kind,
        theirs.numbers,
        theirs.reach,
        theirs.doubt,
    )
    np.testing.assert_array_equal(ours.table, theirs.table)
    values = np.random.default_rng(2).uniform(-T, T, 1000)
    np.testing.assert_array_equal(ours.exact(values), theirs.exact(values))
