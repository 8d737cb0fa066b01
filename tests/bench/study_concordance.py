"""How often every interval of a comparison holds the truth, by simulation.

    python tests/bench/study_concordance.py [SIMULATIONS] [SEED]

Three cohorts: normal (60 patients, a pair each), clustered (25 patients, three visits, with errors that
stay with the patient) and heavy-tailed (levels and errors of Student's t). Two methods measure log10
fractions with errors of equal size about a latent level, y lies 0.1 higher; each value has its own
limit of detection. Printed: coverage in per cent, by interval and cohort.
"""

import sys
from collections import defaultdict
from collections.abc import Callable

import numpy as np

from pipeline.concordance import (
    Pairs,
    Results,
    akritas_theil_sen,
    bland_altman,
    bland_altman_repeated,
    censored_bivariate,
    censored_line,
    censored_tau,
    clustered_share,
    deming,
    lin_ccc,
    pair_readings,
    passing_bablok,
    share_within,
    tabulate,
    total_deviation_index,
    weighted_deming,
)
from pipeline.detection import Call

Floats = np.ndarray
MEAN, SPREAD, ERROR, OWN, BIAS = -4.5, 0.9, 0.25, 0.15, 0.1
LIMIT, LIMIT_SD, THRESHOLD = -5.2, 0.2, 10**-4.7
COHORTS = ("normal", "clustered", "heavy-tailed")


def draw(cohort: str, rng: np.random.Generator, size: int = 0) -> tuple[Floats, Floats, Floats]:
    """Values of x and y, uncut, and the patient of each pair."""
    if cohort == "clustered":
        patients = size // 3 or 25
        patient = np.repeat(np.arange(patients), 3)
        level = (
            MEAN
            + rng.normal(0, 0.7, patients)[patient]
            + rng.normal(0, (SPREAD**2 - 0.49) ** 0.5, 3 * patients)
        )
        own = rng.normal(0, OWN, (2, patients))[:, patient]
        errors = own + rng.normal(0, ERROR, (2, 3 * patients))
    else:
        patients = size or 60
        patient = np.arange(patients)
        tails = cohort == "heavy-tailed"

        def noise(shape: object) -> Floats:
            return rng.standard_t(5, shape) / (5 / 3) ** 0.5 if tails else rng.normal(0, 1, shape)

        level, errors = MEAN + SPREAD * noise(patients), ERROR * noise((2, patients))
    return level + errors[0], level + BIAS + errors[1], patient


def cut(x: Floats, y: Floats, patient: Floats, rng: np.random.Generator) -> Pairs:
    """The same as results, each with a limit of its own."""
    sides = []
    for values in (x, y):
        lod = LIMIT + rng.normal(0, LIMIT_SD, len(values))
        seen = values >= lod
        unknown = np.full(len(values), np.nan)
        sides.append(
            Results(
                evaluable=np.ones(len(values), np.bool_), detected=seen,
                value=np.where(seen, 10**values, 0.0), lod=10**lod,
                numerator=unknown, denominator=unknown, reason=("",) * len(values),
            )
        )  # fmt: skip
    return Pairs(patients=tuple(f"P{i}" for i in patient), x=sides[0], y=sides[1])


def estimates(
    x: Floats, y: Floats, pairs: Pairs, rng: np.random.Generator
) -> dict[str, Callable[[], object]]:
    """Every interval by its name; those of a kind are made together."""
    logs = [np.log10(np.where(s.detected, s.value, s.lod)) for s in (pairs.x, pairs.y)]
    cuts = [~s.detected for s in (pairs.x, pairs.y)]
    data = (*logs, *cuts)
    several = len(set(pairs.patients)) < len(pairs)
    clusters = np.array(pairs.patients) if several else None
    table = tabulate(readings := pair_readings(pairs, THRESHOLD))
    calls = [(a[0], b[0]) for a, b in readings]
    read = [i for i, c in enumerate(calls) if Call.INDETERMINATE not in c]
    linear = 10 ** (0.2 * (rng.uniform(0, 5, len(x)))), np.exp(rng.normal(0, 0.08, (2, len(x))))
    made: dict[str, Callable[[], object]] = {
        "passing_bablok": lambda: passing_bablok(x, y),
        "deming": lambda: deming(x, y),
        "weighted_deming": lambda: weighted_deming(linear[0] * linear[1][0], linear[0] * linear[1][1]),
        "bland_altman": lambda: bland_altman(x, y),
        "total_deviation_index": lambda: total_deviation_index(x, y).ci,
        "share_within_half_log10": lambda: share_within(x, y, 0.5).ci,
        "lin_ccc": lambda: lin_ccc(x, y).ci,
        "akritas_theil_sen slope": lambda: akritas_theil_sen(*data).slope_ci,
        "tau_b": lambda: censored_tau(*data).ci,
        "censored_mle": lambda: censored_bivariate(*data, clusters=clusters),
        "opa": lambda: table.overall().ci,
        "opa_exact": lambda: table.overall(exact=True).ci,
        "ppa": lambda: table.positive().ci,
        "npa": lambda: table.negative().ci,
        "kappa": lambda: table.kappa().ci,
        "pabak": lambda: table.pabak().ci,
    }
    if several:
        made["bland_altman_repeated"] = lambda: bland_altman_repeated(x, y, pairs.patients)
        made["opa_clustered"] = lambda: (
            clustered_share(
                np.array([calls[i][0] is calls[i][1] for i in read]), [pairs.patients[i] for i in read]
            ).ci
        )
    return made


def intervals(name: str, found: object) -> dict[str, tuple[float, float]]:
    """Interval by parameter."""
    if name in ("passing_bablok", "deming", "weighted_deming"):
        return {f"{name} slope": found.slope_ci, f"{name} intercept": found.intercept_ci}
    if name.startswith("bland_altman"):
        return {f"{name} {p}": getattr(found, p).ci for p in ("bias", "sd", "limit_low", "limit_high")}
    if name == "censored_mle":
        line = censored_line(found)
        return {
            "censored_mle rho": found.rho_ci, "censored_mle bias": found.bias_ci,
            "censored_mle ccc": found.ccc_ci,
            "censored_mle slope": line.slope_ci, "censored_mle intercept": line.intercept_ci,
        }  # fmt: skip
    return {name: found}


def truths(cohort: str, rng: np.random.Generator) -> dict[str, float]:
    """What the intervals should hold: from the model, or from a cohort of 600,000 pairs."""
    x, y, patient = draw(cohort, rng, 600_000)
    d = y - x
    own = OWN if cohort == "clustered" else 0.0
    sd, error = (2 * (ERROR**2 + own**2)) ** 0.5, ERROR**2 + own**2
    total = SPREAD**2 + error
    found = {
        "passing_bablok slope": 1.0, "passing_bablok intercept": BIAS, "deming slope": 1.0,
        "deming intercept": BIAS, "weighted_deming slope": 1.0, "weighted_deming intercept": 0.0,
        "total_deviation_index": float(np.quantile(np.abs(d), 0.9)),
        "share_within_half_log10": float(np.mean(np.abs(d) <= 0.5)),
        "lin_ccc": 2 * SPREAD**2 / (2 * total + BIAS**2), "censored_mle rho": SPREAD**2 / total,
        "censored_mle bias": BIAS, "censored_mle ccc": 2 * SPREAD**2 / (2 * total + BIAS**2),
        "censored_mle slope": 1.0, "censored_mle intercept": BIAS,
    }  # fmt: skip
    for name in ("bland_altman", "bland_altman_repeated"):
        limits = {
            "bias": BIAS,
            "sd": sd,
            "limit_low": BIAS - 1.959964 * sd,
            "limit_high": BIAS + 1.959964 * sd,
        }
        found |= {f"{name} {key}": value for key, value in limits.items()}
    table = tabulate(pair_readings(cut(x[:200_000], y[:200_000], patient[:200_000], rng), THRESHOLD))
    found |= {
        "opa": table.overall().value, "ppa": table.positive().value, "npa": table.negative().value,
        "kappa": table.kappa().value, "pabak": table.pabak().value,
    }  # fmt: skip
    found["opa_exact"] = found["opa_clustered"] = found["opa"]
    taus, slopes = [], []
    for _ in range(12):
        a, b, p = draw(cohort, rng, 2_100)
        pairs = cut(a, b, p, rng)
        logs = [np.log10(np.where(s.detected, s.value, s.lod)) for s in (pairs.x, pairs.y)]
        cuts = [~s.detected for s in (pairs.x, pairs.y)]
        taus.append(censored_tau(*logs, *cuts).value)
        slopes.append(akritas_theil_sen(*logs, *cuts).slope)
    return {**found, "tau_b": float(np.mean(taus)), "akritas_theil_sen slope": float(np.mean(slopes))}


def main(simulations: int, seed: int) -> None:
    """Print the table of coverage."""
    covered: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for cohort in COHORTS:
        rng = np.random.default_rng([seed, COHORTS.index(cohort)])
        truth = truths(cohort, rng)
        for _ in range(simulations):
            x, y, patient = draw(cohort, rng)
            pairs = cut(x, y, patient, rng)
            for name, make in estimates(x, y, pairs, rng).items():
                try:
                    found = intervals(name, make())
                except (ValueError, AttributeError):  # a table of one class has no kappa, PPA or NPA
                    continue
                for key, (low, high) in found.items():
                    covered[key][cohort].append(low - 1e-12 <= truth[key] <= high + 1e-12)
        sys.stderr.write(f"{cohort}: done\n{_table(covered)}")
    sys.stdout.write(_table(covered))
    made = {k: [len(v[c]) for c in COHORTS if v[c]] for k, v in covered.items()}
    sys.stderr.write(f"fewer simulations: { {k: n for k, n in made.items() if min(n) < simulations} }\n")


def _table(covered: dict[str, dict[str, list[bool]]]) -> str:
    lines = [f"| interval | {' | '.join(COHORTS)} |", "| --- | --- | --- | --- |"]
    for key, by_cohort in covered.items():
        cells = [f"{100 * np.mean(by_cohort[c]):.1f}" if by_cohort[c] else "" for c in COHORTS]
        lines.append(f"| {key} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(*(int(a) for a in (sys.argv[1:] + ["2000", "1"][len(sys.argv) - 1 :])[:2]))
