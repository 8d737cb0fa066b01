"""A simulated trial compared with its truth: discordance that counting explains, correlation, shift, speed.

    python tests/bench/study_trial.py [TRIALS] [SEED]

172 patients, five marrow visits, EuroFlow, a single tube and sequencing (`pipeline.concordance.simulate`).
Expected discordance, as a comparison prints it from the measured results, against what two perfect
assays of these depths would show on the true fractions; correlation and shift of the censored fit
against those of the model; CPU seconds of the three calculations whose speed matters.
"""

import sys
import time
from itertools import combinations

import numpy as np
from scipy.special import gammainc

from pipeline.concordance import (
    Pairs,
    Results,
    censored_bivariate,
    clustered_kappa,
    expected_discordance,
    latent_level,
    pair_readings,
    passing_bablok,
    tabulate,
)
from pipeline.concordance.quantitative import censored_fit
from pipeline.concordance.simulate import TRIAL_ASSAYS, simulate_trial
from pipeline.detection import Call

THRESHOLDS = (1e-4, 1e-5, 1e-6)


def true_discordance(
    true_log10: np.ndarray, x: tuple[Results, int], y: tuple[Results, int], c: float
) -> float:
    """Share of evaluable pairs that perfect assays of these depths read differently, in per cent."""
    kept = x[0].evaluable & y[0].evaluable
    fraction = 10 ** true_log10[kept]
    pos, neg = [], []
    for results, k in (x, y):
        cells = results.denominator[kept]
        found = gammainc(np.maximum(k, np.ceil(c * cells * (1 - 1e-12))), cells * fraction)
        pos.append(found)
        neg.append((1 - found) * (results.lod[kept] <= c))
    discordant = pos[0] * neg[1] + neg[0] * pos[1]
    evaluable = (pos[0] + neg[0]) * (pos[1] + neg[1])
    return 100 * float(discordant.sum() / evaluable.sum())


def indeterminate_as_negative(pairs: Pairs, c: float) -> int:
    """Readings NEG of results whose limit lies above the threshold, or that are not evaluable."""
    wrong = 0
    for side, results in enumerate((pairs.x, pairs.y)):
        for row, reading in enumerate(pair_readings(pairs, c)):
            unable = not results.evaluable[row] or results.lod[row] > c
            wrong += unable and reading[side][0] is Call.NEGATIVE
    return wrong


def main(trials: int, seed: int) -> None:
    """Print what was found."""
    assays = {a.name: a for a in TRIAL_ASSAYS}
    apart: dict[tuple[str, str, float], list[float]] = {}
    moments: dict[tuple[str, str], list[tuple[float, float]]] = {}
    wrong, table_sum = 0, 0
    for number in range(trials):
        trial = simulate_trial(np.random.default_rng([seed, number]))
        for a, b in combinations(assays, 2):
            pairs = Pairs(patients=trial.patients, x=trial.results[a], y=trial.results[b])
            fit = censored_fit(pairs)
            moments.setdefault((a, b), []).append((fit.rho, fit.bias_log10))
            for c in THRESHOLDS:
                estimate = expected_discordance(pairs.x, pairs.y, latent_level(fit), c) or 0.0
                sides = [(trial.results[n], assays[n].decision_count) for n in (a, b)]
                truth = true_discordance(trial.true_log10, sides[0], sides[1], c)
                apart.setdefault((a, b, c), []).append(100 * estimate - truth)
                wrong += indeterminate_as_negative(pairs, c)
                table_sum += tabulate(pair_readings(pairs, c)).all
    lines = ["expected discordance, estimate minus truth, points: mean, largest"]
    lines += [f"  {a} {b} {c:g}: {np.mean(v):+.2f}, {max(v, key=abs):+.2f}" for (a, b, c), v in apart.items()]
    spread = float(np.var(simulate_trial(np.random.default_rng(0), patients=20_000).true_log10))
    for (a, b), found in moments.items():
        errors = [spread + assays[n].error_log10_sd ** 2 for n in (a, b)]
        rho = spread / float(np.sqrt(errors[0] * errors[1]))
        shift = assays[b].bias_log10 - assays[a].bias_log10
        mean = np.mean(found, axis=0)
        lines.append(f"{a} {b}: rho {mean[0] - rho:+.4f}, shift {mean[1] - shift:+.4f} log10")
    lines.append("  (estimate minus the model's, whose rho lacks the error that counting adds to low values)")
    lines.append(f"indeterminate counted as negative: {wrong} of {table_sum} pairs")
    sys.stdout.write("\n".join([*lines, *_speed(seed)]) + "\n")


def _speed(seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    x = rng.normal(-4, 1, 1204)
    y = x + rng.normal(0, 0.2, 1204)
    trial = simulate_trial(rng, patients=139)
    pairs = Pairs(patients=trial.patients, x=trial.results["flow:euroflow"], y=trial.results["ngs"])
    kept = np.flatnonzero(pairs.x.evaluable & pairs.y.evaluable)[:692]
    logs = [np.log10(np.where(s.detected, s.value, s.lod))[kept] for s in (pairs.x, pairs.y)]
    cuts = [~s.detected[kept] for s in (pairs.x, pairs.y)]
    readings = pair_readings(pairs, 1e-5)
    lines = []
    for name, run in (
        ("Passing-Bablok, 1,204 pairs", lambda: passing_bablok(x, y)),
        (f"censored likelihood, {len(kept)} pairs", lambda: censored_bivariate(*logs, *cuts)),
        ("2,000 clustered bootstraps of kappa", lambda: clustered_kappa(readings, pairs.patients)),
    ):
        run()
        start = time.process_time()
        run()
        lines.append(f"{name}: {time.process_time() - start:.3f} CPU s")
    return lines


if __name__ == "__main__":
    main(*(int(a) for a in (sys.argv[1:] + ["10", "1"][len(sys.argv) - 1 :])[:2]))
