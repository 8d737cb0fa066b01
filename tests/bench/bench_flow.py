"""Speed and memory of gating, FlowKit on the same files and gates in the same run.

    python tests/bench/bench_flow.py [--events 10000000] [--without-flowkit] [--route gates|panel]

Route ``gates``: read, compensate, transform, five gates of a Gating-ML file in a hierarchy. Route
``panel``: read, acquisition control, rules, the gates of the ``srl`` template with ten antigens, and the
table of plasma cells with all of them; FlowKit gets the same gates as Gating-ML, and no control. Each
engine runs in a process of its own. CPU seconds are user and system seconds after imports and compilation
(the kernels are compiled and warmed on a small file first); memory is the largest private resident memory
(RssAnon) of the process, interpreter and libraries included.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np

from mrd_flow.fcs.writer import Column, write_fcs

DETECTORS = [f"FL{i}-A" for i in range(1, 11)]
NAMES = ["FSC-A", "FSC-H", "SSC-A", *DETECTORS, "Time"]
CHUNK_EVENTS = 250_000
# share of events, then the mean arcsinh brightness of FL1, FL2, FL3
POPULATIONS = ((0.6, 0.5, 0.5, 0.5), (0.3, 3.0, 0.5, 2.0), (0.097, 1.0, 4.5, 4.0), (0.003, 5.5, 5.5, 1.0))


def write_events(path: Path, events: int, seed: int) -> None:
    """Write a file of 14 float32 parameters with spillover between ten detectors."""
    spill = np.eye(10) + 0.03 * np.eye(10, k=1) + 0.01 * np.eye(10, k=-1)
    columns = [Column(name=n) for n in NAMES]
    rng = np.random.default_rng(seed)

    def chunks():
        for begin in range(0, events, CHUNK_EVENTS):
            n = min(CHUNK_EVENTS, events - begin)
            kind = rng.choice(len(POPULATIONS), n, p=[p[0] for p in POPULATIONS])
            bright = rng.normal(1.0, 0.5, (n, 10)).astype(np.float32)
            bright[:, :3] += np.array([p[1:] for p in POPULATIONS], np.float32)[kind]
            table = np.empty((n, 14), np.float32)
            table[:, 0] = rng.normal(90_000, 25_000, n)
            table[:, 1] = table[:, 0] * rng.normal(0.9, 0.05, n)
            table[:, 2] = rng.gamma(4.0, 12_000, n)
            table[:, 3:13] = (150 * np.sinh(bright)) @ spill
            table[:, 13] = np.arange(begin, begin + n)
            yield table

    write_fcs(path, columns, chunks(), events=events, spillover=(DETECTORS, spill))


def write_gates(path: Path) -> None:
    """Write singlets (polygon) > cells (rectangle) > FL1/FL2 (polygon) > FL1/FL3 (ellipse) > FL4 (range)."""
    ns = "http://www.isac-net.org/std/Gating-ML/v2.0/"

    def dimension(name: str, extra: str = "", *, scaled: bool = True) -> str:
        kind = (
            'gating:compensation-ref="FCS" gating:transformation-ref="logicle"'
            if scaled
            else ('gating:compensation-ref="uncompensated"')
        )
        named = f'<data-type:fcs-dimension data-type:name="{name}"/>'
        return f"<gating:dimension {kind} {extra}>{named}</gating:dimension>"

    def vertices(points) -> str:
        return "".join(
            "<gating:vertex>"
            + "".join(f'<gating:coordinate data-type:value="{v}"/>' for v in point)
            + "</gating:vertex>"
            for point in points
        )

    singlets = vertices([(20_000, 12_000), (250_000, 190_000), (250_000, 260_000), (20_000, 24_000)])
    bright = vertices([(0.4, 0.35), (0.95, 0.4), (0.98, 0.97), (0.45, 0.9)])
    cells = dimension("FSC-A", 'gating:min="40000" gating:max="200000"', scaled=False) + dimension(
        "SSC-A", 'gating:min="5000" gating:max="200000"', scaled=False
    )
    path.write_text(f"""<?xml version="1.0"?>
<gating:Gating-ML xmlns:gating="{ns}gating" xmlns:transforms="{ns}transformations"
 xmlns:data-type="{ns}datatypes">
<transforms:transformation transforms:id="logicle">
<transforms:logicle transforms:T="262144" transforms:W="0.5" transforms:M="4.5" transforms:A="0"/>
</transforms:transformation>
<gating:PolygonGate gating:id="singlets">{dimension("FSC-A", scaled=False)}{dimension("FSC-H", scaled=False)}
{singlets}</gating:PolygonGate>
<gating:RectangleGate gating:id="cells" gating:parent_id="singlets">{cells}</gating:RectangleGate>
<gating:PolygonGate gating:id="bright" gating:parent_id="cells">{dimension("FL1-A")}{dimension("FL2-A")}
{bright}</gating:PolygonGate>
<gating:EllipsoidGate gating:id="cluster" gating:parent_id="bright">{dimension("FL1-A")}{dimension("FL3-A")}
<gating:mean>
<gating:coordinate data-type:value="0.8"/><gating:coordinate data-type:value="0.5"/></gating:mean>
<gating:covarianceMatrix>
<gating:row><gating:entry data-type:value="0.01"/><gating:entry data-type:value="0.002"/></gating:row>
<gating:row><gating:entry data-type:value="0.002"/><gating:entry data-type:value="0.02"/></gating:row>
</gating:covarianceMatrix><gating:distanceSquare data-type:value="4"/></gating:EllipsoidGate>
<gating:RectangleGate gating:id="dim" gating:parent_id="cluster">
{dimension("FL4-A", 'gating:max="0.45"')}</gating:RectangleGate>
</gating:Gating-ML>""")


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


class Peak(threading.Thread):
    """The largest private memory of this process while it runs, in MB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mb = 0.0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.01):
            text = Path("/proc/self/status").read_text()
            self.mb = max(self.mb, int(text.split("RssAnon:")[1].split()[0]) / 1024)

    def stop(self) -> float:
        self.over.set()
        self.join()
        return self.mb


def panel_of_ten():
    """The single-tube template with ten antigens: 14 parameters with scatter and time."""
    from mrd_flow.panel.template import load_panel

    panel = load_panel("srl")
    (tube,) = panel.tubes
    markers = {**tube.markers, "CD117": "BV605", "CD81": "BV786"}
    return panel.model_copy(update={"tubes": (tube.model_copy(update={"markers": markers}),)})


def write_marrow(path: Path, events: int, seed: int) -> None:
    """Write a simulated marrow with a clone of 1e-5."""
    from mrd_flow.simulate import simulate_tube

    rng = np.random.default_rng(seed)
    simulate_tube(path, panel_of_ten(), 0, events=events, aberrant_fraction=1e-5, rng=rng)


def run_nadir(file: Path, gates: Path) -> list[np.ndarray]:
    from mrd_flow.engine.gatingml import apply_gates

    return [g.members for g in apply_gates(file, gates)]


def run_flowkit(file: Path, gates: Path) -> list[np.ndarray]:
    import flowkit

    strategy = flowkit.parse_gating_xml(str(gates))
    results = strategy.gate_sample(flowkit.Sample(file))
    return [np.asarray(results.get_gate_membership(name)) for name, _ in strategy.get_gate_ids()]


def run_panel(file: Path, gates: Path) -> list[int]:
    """Write the gates applied as Gating-ML; the events kept, those of each gate, and the table's rows."""
    from mrd_flow.acquisition.check import acquisition_qc
    from mrd_flow.export.gatingml import gatingml_of
    from mrd_flow.fcs.data_sets import read_data_sets
    from mrd_flow.gating.tube import gate_tube
    from mrd_flow.panel.detectors import assign_detectors

    panel = panel_of_ten()
    (data,) = read_data_sets(file)
    columns = assign_detectors(data.parameters, panel, 1).columns
    kept = acquisition_qc(data, columns).kept
    found = gate_tube(data, panel, 1, columns, kept=kept)
    gates.write_text(gatingml_of(found, data, panel, 1, columns))
    return [int(kept.sum()), *(t.count for t in found.tallies), len(found.plasma_cells)]


def measured(run, file: Path, gates: Path):
    """What a run gives, and its seconds and memory."""
    peak = Peak()
    peak.start()
    wall, cpu = time.perf_counter(), time.process_time()
    result = run(file, gates)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return result, {"cpu": cpu, "wall": wall, "mb": peak.stop()}


def worker(engine: str, file: Path, gates: Path, warm: Path, out: Path) -> None:
    """Run one engine and print its seconds, memory and counts."""
    warnings.simplefilter("ignore")
    run = {"nadir": run_nadir, "flowkit": run_flowkit, "panel": run_panel}[engine]
    run(warm, gates)
    result, cost = measured(run, file, gates)
    if engine == "panel":
        counts, members = result, run_nadir(file, gates)  # all events: FlowKit knows no mask
    else:
        counts, members = [int(m.sum()) for m in result], result
    np.save(out, np.packbits(np.array(members, np.bool_), axis=1))
    say(json.dumps({**cost, "counts": counts}))


def compare(engines: list[str], file: Path, gates: Path, warm: Path) -> None:
    """Run engines one after another on a file; how their memberships differ."""
    say(f"{'engine':8} {'CPU s':>7} {'wall s':>7} {'private MB':>11}  counts")
    outs = [file.with_name(f"{engine}.npy") for engine in engines]
    for engine, out in zip(engines, outs, strict=True):
        command = [sys.executable, __file__, "--worker", engine, file, gates, warm, out]
        done = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True)
        r = json.loads(done.stdout)
        say(f"{engine:8} {r['cpu']:7.2f} {r['wall']:7.2f} {r['mb']:11.0f}  {r['counts']}")
    if len(engines) == 2:
        ours, theirs = (np.load(out) for out in outs)
        say(f"memberships that differ: {int(np.bitwise_count(ours ^ theirs).sum())}")


def main() -> None:
    """Make the files, run the engines, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--route", choices=("gates", "panel"), help="one of the two; default both")
    parser.add_argument(
        "--without-flowkit", action="store_true", help="FlowKit needs 5 GB for 10 million events"
    )
    parser.add_argument("--worker", nargs=5, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        engine, *paths = chosen.worker
        worker(engine, *map(Path, paths))
        return
    writers = {"gates": ("nadir", write_events), "panel": ("panel", write_marrow)}
    for route in [chosen.route] if chosen.route else writers:
        engine, write = writers[route]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            file, gates, warm = folder / "events.fcs", folder / "gates.xml", folder / "warm.fcs"
            write_gates(gates)
            write(warm, 2_000, chosen.seed + 1)
            write(file, chosen.events, chosen.seed)
            size = file.stat().st_size / 1e6
            say(f"route {route}: {chosen.events:,} events x {len(NAMES)} parameters, {size:.0f} MB")
            compare([engine] + ["flowkit"] * (not chosen.without_flowkit), file, gates, warm)


if __name__ == "__main__":
    main()
