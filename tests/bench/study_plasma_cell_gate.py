"""What rules give the gates of nucleated and plasma cells, against the boundaries a template states.

    python tests/bench/study_plasma_cell_gate.py [--events 400000] [--tubes 6]

Simulated tubes with overlapping populations, every patient drawn anew, plasma cells 0.25 % and a clone of
2e-4: gains of all detectors drawn between 0.7 and 1.4 after the spillover matrix was made (FSC-A and FSC-H
together), all at 0.7, all at 1.4, and CD38 hidden by 0.3 to 1.5 decades. F1 is that of all plasma cells
against the truth of each event, the error that of the nucleated cells. Printed: the least F1 and recall
and the largest error over the tubes.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from mrd_flow.fcs.data_sets import read_data_sets
from mrd_flow.fcs.writer import Column, write_fcs
from mrd_flow.gating.tube import gate_tube
from mrd_flow.panel.detectors import assign_detectors
from mrd_flow.panel.gates import Bounds
from mrd_flow.panel.template import Panel, RectangleGate, load_panel
from mrd_flow.simulate import simulate_tube
from mrd_flow.simulation.plasma_cell_model import draw_patient

TUBES = (("euroflow", 1), ("euroflow", 2), ("srl", 1))
SCENARIOS = (
    "gains 1",
    "gains 0.7-1.4",
    "gains 0.7",
    "gains 1.4",
    *(f"CD38 hidden {d}" for d in (0.3, 0.6, 1.0, 1.5)),
)


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def without_rules(panel: Panel) -> Panel:
    """The template with its own boundaries only."""
    gates = [
        g.model_copy(update={"bounds": {d: Bounds(min=b.min, max=b.max) for d, b in g.bounds.items()}})
        if isinstance(g, RectangleGate)
        else g
        for g in panel.gates
    ]
    return panel.model_copy(update={"gates": tuple(gates)})


def choices(scenario: str, markers: tuple[str, ...], rng: np.random.Generator) -> tuple[dict, float]:
    """Arguments of the simulator, and the gain of forward scatter."""
    kind, _, amount = scenario.rpartition(" ")
    if kind == "CD38 hidden":
        return {"masking_log10": {"CD38": float(amount)}}, 1.0
    low, high = (float(v) for v in (amount.split("-") * 2)[:2])
    drawn = np.exp(rng.uniform(np.log(low), np.log(high), len(markers) + 1))
    return {"gain": dict(zip(markers, map(float, drawn), strict=False))}, float(drawn[-1])


def simulated(folder: Path, panel: Panel, tube: int, scenario: str, events: int, seed: int) -> np.ndarray:
    """Write a tube; the kind of each event."""
    rng = np.random.default_rng([seed, tube])
    path, truth = folder / "tube.fcs", folder / "truth.npy"
    changed, scatter_gain = choices(scenario, tuple(panel.tubes[tube - 1].markers), rng)
    simulate_tube(
        path, panel, tube - 1, events=events, aberrant_fraction=2e-4, rng=rng, event_truth=truth,
        patient=draw_patient(rng), **changed,
    )  # fmt: skip
    if scatter_gain != 1.0:
        (data,) = read_data_sets(path)
        table = data.table()
        table[:, :2] = np.minimum(table[:, :2] * scatter_gain, 262_143)
        columns = [Column(name=p.name, stain=p.stain, range=int(p.range)) for p in data.parameters]
        names = [data.parameters[c].name for c in data.spillover.columns]
        write_fcs(path, columns, [table], events=len(table), spillover=(names, data.spillover.matrix))
    return np.load(truth)


def quality(path: Path, truth: np.ndarray, panel: Panel, tube: int) -> tuple[float, float, float, bool, int]:
    """F1, recall, error of the nucleated cells, whether masking was flagged, boundaries fallen back."""
    (data,) = read_data_sets(path)
    found = gate_tube(data, panel, tube, assign_detectors(data.parameters, panel, tube).columns)
    plasma_cells = np.isin(truth, (1, 2))
    right = int(plasma_cells[found.plasma_cell_events].sum())
    f1 = 2 * right / (len(found.plasma_cell_events) + plasma_cells.sum())
    error = abs(found.count(panel.nucleated_gate) / np.isin(truth, (0, 1, 2)).sum() - 1)
    flagged = any(a.code == "cd38_masked" for a in found.anomalies)
    fell_back = sum(b.fell_back for t in found.tallies for b in t.boundaries)
    return f1, right / plasma_cells.sum(), error, flagged, fell_back


def main() -> None:
    """Simulate, gate with and without rules, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--tubes", type=int, default=6, help="tubes per scenario")
    chosen = parser.parse_args()
    panels = {name: load_panel(name) for name in ("euroflow", "srl")}
    say("scenario          gates   least F1  least recall  most error of nucleated  flagged  fallen back")
    for scenario in SCENARIOS:
        rows: dict[str, list] = {"rules": [], "fixed": []}
        for i in range(chosen.tubes):
            name, tube = TUBES[i % len(TUBES)]
            with tempfile.TemporaryDirectory() as folder:
                truth = simulated(Path(folder), panels[name], tube, scenario, chosen.events, i)
                for kind, panel in (("rules", panels[name]), ("fixed", without_rules(panels[name]))):
                    rows[kind].append(quality(Path(folder) / "tube.fcs", truth, panel, tube))
        for kind, found in rows.items():
            f1, recall, error, flagged, fell_back = np.array(found, float).T
            say(
                f"{scenario:17} {kind:7} {f1.min():8.4f} {recall.min():13.4f} {100 * error.max():22.2f} %"
                f"  {int(flagged.sum()):2d} of {len(found)}  {int(fell_back.sum()):2d}"
            )


if __name__ == "__main__":
    main()
