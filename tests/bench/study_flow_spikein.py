"""Spike-in grid of the plasma-cell classifier beside the oracle, on simulated plasma-cell tables.

    python tests/bench/study_flow_spikein.py --panel srl --seeds 101:121

Every patient's clone is drawn anew. "Known" is with the phenotype the classifier itself
kept from that patient's simulated sample at diagnosis, "unknown" with archetypes alone.
Recall counts the clone's cells inside the plasma-cell gate; bias is that of the fraction
of all the clone's cells, gate losses included.
"""

import argparse
import sys
import time
from dataclasses import dataclass, field

import numpy as np

from mrd_flow.panel.template import Panel, load_panel
from mrd_flow.plasma_cells.archetypes import load_archetypes
from mrd_flow.plasma_cells.classified import ClassifiedSample, PlasmaCellTable
from mrd_flow.plasma_cells.classifier import classify_plasma_cells
from mrd_flow.plasma_cells.diagnostic_phenotype import DiagnosticPhenotype
from mrd_flow.plasma_cells.phenotype_at_diagnosis import diagnostic_phenotype
from mrd_flow.reference.normal_reference import shipped_reference
from mrd_flow.simulation.oracle import oracle_log_ratios
from mrd_flow.simulation.plasma_cell_model import PHENOTYPES, draw_patient
from mrd_flow.simulation.plasma_cell_tables import SimulatedTable, simulate_plasma_cell_tables
from mrd_flow.simulation.sample_model import SampleModel

_DIAGNOSIS = {"aberrant_fraction": 0.02, "events": 400_000}
_LEVELS = (1e-3, 1e-4, 1e-5, 5e-6, 2e-6, 0.0)


@dataclass(slots=True)
class _Score:
    """Counts pooled over seeds; ``log_ratio`` of found to true fraction of each sample."""

    true_called: int = 0
    called: int = 0
    true: int = 0
    log_ratio: list[float] = field(default_factory=list)
    per_million: list[float] = field(default_factory=list)

    def add(self, called: np.ndarray, truth: np.ndarray, tables: tuple[SimulatedTable, ...]) -> None:
        """Add one sample."""
        self.true_called += int((called & truth).sum())
        self.called += int(called.sum())
        self.true += int(truth.sum())
        clone = sum(t.aberrant for t in tables)
        if clone and called.any():
            self.log_ratio.append(float(np.log10(called.sum() / clone)))
        false = int((called & ~truth).sum())
        self.per_million.append(1e6 * false / sum(t.nucleated for t in tables))

    @property
    def recall(self) -> float:
        """Share of the clone's gated cells that are called."""
        return self.true_called / max(self.true, 1)

    @property
    def precision(self) -> float:
        """Share of the called cells that are the clone's."""
        return self.true_called / max(self.called, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.true_called / max(self.called + self.true, 1)


class _Runner:
    """The classifier with everything it needs for one panel."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.references = {n: shipped_reference(panel.name, n) for n in range(1, len(panel.tubes) + 1)}
        self.archetypes = load_archetypes()
        self.scales = {m: panel.logicle_of(m) for tube in panel.tubes for m in tube.markers}
        self.cpu_s: list[float] = []

    def classify(
        self, tables: tuple[SimulatedTable, ...], diagnosis: DiagnosticPhenotype | None
    ) -> ClassifiedSample:
        """Classify a sample and keep the CPU time."""
        start = time.process_time()
        found = classify_plasma_cells(
            _plain(tables), self.references, self.archetypes, scales=self.scales, diagnosis=diagnosis
        )
        self.cpu_s.append(time.process_time() - start)
        return found

    def simulate(
        self, seed: int, purpose: int, events: int, sample: SampleModel
    ) -> tuple[SimulatedTable, ...]:
        """Tables of one sample; ``events`` over all tubes."""
        return simulate_plasma_cell_tables(
            self.panel,
            events=events // len(self.panel.tubes),
            sample=sample,
            rng=np.random.default_rng([seed, purpose]),
        )

    def diagnosis(self, seed: int, sample: dict[str, object]) -> DiagnosticPhenotype | None:
        """What the classifier keeps of the patient's sample at diagnosis."""
        model = SampleModel(aberrant_fraction=_DIAGNOSIS["aberrant_fraction"], **sample)  # type: ignore[arg-type]
        tables = self.simulate(seed, 1, int(_DIAGNOSIS["events"]), model)
        found = self.classify(tables, None)
        try:
            return diagnostic_phenotype(
                self.panel.name, _plain(tables), found, self.references, scales=self.scales
            )
        except ValueError:
            return None


def _plain(tables: tuple[SimulatedTable, ...]) -> list[PlasmaCellTable]:
    return [PlasmaCellTable(tube=t.tube, dimensions=t.dimensions, cells=t.plasma_cells) for t in tables]


def _called(found: ClassifiedSample) -> np.ndarray:
    return np.concatenate([t.aberrant for t in found.tubes])


def _oracle(panel: Panel, tables: tuple[SimulatedTable, ...], sample: SampleModel) -> dict[str, np.ndarray]:
    """Events the oracle calls without and with the phenotype known."""
    ratios = [oracle_log_ratios(t.plasma_cells, t.dimensions, panel, t.tube, sample) for t in tables]
    return {name: np.concatenate([r[i] for r in ratios]) > 0 for i, name in enumerate(("unknown", "known"))}


def _cell(
    run: _Runner, phenotype: str, level: float, seeds: range, events: int, *, oracle: bool
) -> dict[str, _Score]:
    """Scores of one phenotype at one level, pooled over seeds."""
    scores = {n: _Score() for n in ("unknown", "oracle unknown", "known", "oracle known")}
    for seed in seeds:
        patient = draw_patient(np.random.default_rng([seed, 0]))
        choices: dict[str, object] = {
            "phenotype": phenotype,
            "light_chain": ("cyKappa", "cyLambda")[seed % 2],
            "patient": patient,
        }
        sample = SampleModel(aberrant_fraction=level, **choices)  # type: ignore[arg-type]
        tables = run.simulate(seed, 2 + round(level * 1e9), events, sample)
        truth = np.concatenate([t.codes == 2 for t in tables])
        scores["unknown"].add(_called(run.classify(tables, None)), truth, tables)
        known = run.diagnosis(seed, choices)
        if known is None:
            _say(f"seed {seed}: clone not kept at diagnosis, run without it")
        scores["known"].add(_called(run.classify(tables, known)), truth, tables)
        if level > 0 and oracle:
            for name, called in _oracle(run.panel, tables, sample).items():
                scores[f"oracle {name}"].add(called, truth, tables)
    return scores


def _print_row(phenotype: str, level: float, name: str, score: _Score, best: _Score) -> None:
    if level == 0:
        worst = np.quantile(score.per_million, 0.95)
        _say(
            f"{phenotype:15} {'blank':7} {name:8} false per million nucleated: mean "
            f"{np.mean(score.per_million):.2f}, 95 % of blanks <= {worst:.2f}",
        )
        return
    ratio = score.f1 / best.f1 if best.f1 else float("nan")
    bias = np.median(score.log_ratio) if score.log_ratio else float("nan")
    _say(
        f"{phenotype:15} {level:<7g} {name:8} recall {score.recall:.3f} precision {score.precision:.3f} "
        f"F1 {score.f1:.3f} oracle {best.recall:.3f}/{best.precision:.3f} F1 {best.f1:.3f} "
        f"ratio {ratio:.3f} log10 bias {bias:+.3f} clone events {score.true}",
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Print the grid, one row per phenotype, level and knowledge of the diagnosis."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--panel", default="srl")
    parser.add_argument("--events", type=lambda s: int(float(s)), default=10_000_000, help="over all tubes")
    parser.add_argument("--seeds", default="101:121", help="first:last, last not included")
    parser.add_argument("--levels", default=",".join(f"{x:g}" for x in _LEVELS))
    parser.add_argument("--phenotypes", default=",".join(PHENOTYPES))
    parser.add_argument("--no-oracle", action="store_true")
    given = parser.parse_args()
    run = _Runner(load_panel(given.panel))
    first, last = map(int, given.seeds.split(":"))
    for phenotype in given.phenotypes.split(","):
        for level in map(float, given.levels.split(",")):
            scores = _cell(
                run, phenotype, level, range(first, last), given.events, oracle=not given.no_oracle
            )
            for name in ("unknown", "known"):
                _print_row(phenotype, level, name, scores[name], scores[f"oracle {name}"])
    _say(f"classification: median {np.median(run.cpu_s):.2f} s, most {max(run.cpu_s):.2f} s of CPU")


if __name__ == "__main__":
    main()
