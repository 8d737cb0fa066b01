"""How hard the simulated marrows are: what a classifier reaches that knows the simulator's densities.

    python tests/bench/study_flow_oracle.py [--seeds 20] [--panel srl] [--tube 1] [--events 10000000]

One patient is drawn for every seed, and a clone around its archetype. Prints, for every
phenotype and level, the oracle's pooled recall, precision and F1 among the events inside
the plasma-cell gate, with the clone's phenotype known and not known; then, for every
phenotype, the Bayes error of single cells between the clone and the sort of normal plasma
cell it is hardest to tell from (median and range over seeds), and that sort.
"""

import argparse
import sys

import numpy as np

from mrd_flow.panel.template import Panel, load_panel
from mrd_flow.simulation.oracle import nearest_normal, oracle_log_ratio
from mrd_flow.simulation.plasma_cell_model import PHENOTYPES, draw_patient
from mrd_flow.simulation.plasma_cell_tables import simulate_plasma_cell_table
from mrd_flow.simulation.sample_model import SampleModel

LEVELS = (1e-3, 1e-4, 1e-5, 5e-6, 2e-6)


def sample_of(phenotype: str, level: float, seed: int) -> SampleModel:
    """The seed's patient, with a clone that makes kappa in even seeds and lambda in odd ones."""
    return SampleModel(
        aberrant_fraction=level,
        phenotype=phenotype,
        light_chain=("cyKappa", "cyLambda")[seed % 2],
        patient=draw_patient(np.random.default_rng([seed, 0])),
    )


def pooled(
    panel: Panel, tube: int, phenotype: str, level: float, seeds: int, events: int
) -> dict[bool, np.ndarray]:
    """True positives, called and true events over all seeds, with the phenotype known and not."""
    counts = {known: np.zeros(3, np.int64) for known in (True, False)}
    for seed in range(seeds):
        sample = sample_of(phenotype, level, seed)
        rng = np.random.default_rng([seed, 1, int(1e9 * level)])
        table = simulate_plasma_cell_table(panel, tube, events=events, sample=sample, rng=rng)
        true = table.codes == 2
        for known, found in counts.items():
            odds = oracle_log_ratio(
                table.plasma_cells, table.dimensions, panel, tube, sample, phenotype_known=known
            )
            found += [(true & (odds > 0)).sum(), (odds > 0).sum(), true.sum()]
    return counts


def scores(counts: np.ndarray) -> str:
    """Recall, precision and F1 in words."""
    hits, called, true = (int(c) for c in counts)
    return f"{hits / max(true, 1):.3f} {hits / max(called, 1):.3f} {2 * hits / max(called + true, 1):.3f}"


def main(arguments: list[str]) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--panel", default="srl")
    parser.add_argument("--tube", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--levels", type=float, nargs="+", default=LEVELS)
    parser.add_argument("--phenotypes", nargs="+", default=tuple(PHENOTYPES), choices=tuple(PHENOTYPES))
    chosen = parser.parse_args(arguments)
    panel = load_panel(chosen.panel)
    out = sys.stdout
    out.write("phenotype level: known recall precision F1; not known recall precision F1\n")
    for phenotype in chosen.phenotypes:
        for level in chosen.levels:
            counts = pooled(panel, chosen.tube, phenotype, level, chosen.seeds, chosen.events)
            out.write(f"{phenotype} {level:g}: {scores(counts[True])}; {scores(counts[False])}\n")
            out.flush()
    out.write("phenotype: Bayes error against the nearest normal sort, median (range); that sort, seed 0\n")
    for phenotype in chosen.phenotypes:
        found = [
            nearest_normal(
                panel, chosen.tube, sample_of(phenotype, 1e-5, s), np.random.default_rng(s), cells=1_000
            )
            for s in range(chosen.seeds)
        ]
        errors = [f.bayes_error for f in found]
        sort = f"{found[0].phenotype} ({found[0].share:.2%} of normal plasma cells)"
        out.write(f"{phenotype}: {np.median(errors):.3f} ({min(errors):.3f}-{max(errors):.3f}); {sort}\n")
        out.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
