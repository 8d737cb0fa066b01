"""Learn the references of normal plasma cells that ship, from simulated marrows without disease.

python tests/bench/learn_flow_reference.py --panel srl --out configs/flow_reference
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from mrd_flow.panel.template import load_panel
from mrd_flow.reference.learning import learn_reference
from mrd_flow.reference.normal_reference import save_reference
from mrd_flow.simulation.plasma_cell_model import draw_patient
from mrd_flow.simulation.plasma_cell_tables import simulate_plasma_cell_table
from mrd_flow.simulation.sample_model import SampleModel

_UNVERIFIED = (
    "learned from simulated marrows of this project, not from people; learn one from marrows "
    "without disease on your own instrument"
)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Learn one reference per tube and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--panel", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--marrows", type=int, default=32)
    parser.add_argument("--events", type=int, default=1_500_000)
    parser.add_argument("--plasma-cell-fraction", type=float, default=0.005)
    parser.add_argument("--seed", type=int, default=20261125)
    given = parser.parse_args()
    panel = load_panel(given.panel)
    command = (
        f"python tests/bench/learn_flow_reference.py --panel {panel.name} --marrows {given.marrows} "
        f"--events {given.events} --plasma-cell-fraction {given.plasma_cell_fraction:g} --seed {given.seed} "
        "--out configs/flow_reference"
    )
    for number, tube in enumerate(panel.tubes, start=1):
        start = time.perf_counter()
        tables = []
        for marrow in range(given.marrows):
            sample = SampleModel(
                aberrant_fraction=0.0,
                plasma_cell_fraction=given.plasma_cell_fraction,
                patient=draw_patient(np.random.default_rng([given.seed, marrow])),
            )
            rng = np.random.default_rng([given.seed, marrow, number])
            tables.append(
                simulate_plasma_cell_table(panel, number, events=given.events, sample=sample, rng=rng)
            )
        reference = learn_reference(
            [t.plasma_cells for t in tables],
            tables[0].dimensions,
            {m: panel.logicle_of(m) for m in tube.markers},
            panel=panel.name,
            tube=number,
            command=command,
            unverified=_UNVERIFIED,
        )
        path = given.out / f"{panel.name}_{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_reference(path, reference)
        seconds = time.perf_counter() - start
        _say(f"{path} {len(reference.names)} components, {reference.cells} cells, {seconds:.0f} s")


if __name__ == "__main__":
    main()
