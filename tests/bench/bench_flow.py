"""Speed and memory of the gating engine, FlowKit on the same file and gates in the same run.

    python tests/bench/bench_flow.py [--events 10000000] [--without-flowkit]

Each engine runs in a process of its own: read, compensate, transform, five gates in a hierarchy. CPU
seconds are user and system seconds after imports and compilation (the kernel is compiled and warmed on
a small file first); memory is the largest private resident memory (RssAnon) of the process, interpreter
and libraries included.
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

from mrd_flow.fcs_writer import Column, write_fcs

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


def run_nadir(file: Path, gates: Path) -> list[np.ndarray]:
    from mrd_flow.gatingml import apply_gates

    return [g.members for g in apply_gates(file, gates)]


def run_flowkit(file: Path, gates: Path) -> list[np.ndarray]:
    import flowkit

    results = flowkit.parse_gating_xml(str(gates)).gate_sample(flowkit.Sample(file))
    names = ["singlets", "cells", "bright", "cluster", "dim"]
    return [np.asarray(results.get_gate_membership(n)) for n in names]


def worker(engine: str, file: Path, gates: Path, warm: Path, out: Path) -> None:
    """Run one engine and print its seconds, memory and counts."""
    warnings.simplefilter("ignore")
    run = {"nadir": run_nadir, "flowkit": run_flowkit}[engine]
    run(warm, gates)
    peak = Peak()
    peak.start()
    wall, cpu = time.perf_counter(), time.process_time()
    members = run(file, gates)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    mb = peak.stop()
    np.save(out, np.packbits(np.array(members, np.bool_), axis=1))
    say(json.dumps({"cpu": cpu, "wall": wall, "mb": mb, "counts": [int(m.sum()) for m in members]}))


def main() -> None:
    """Make the file, run the engines, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--without-flowkit", action="store_true", help="FlowKit needs 5 GB for 10 million events"
    )
    parser.add_argument("--worker", nargs=5, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        engine, *paths = chosen.worker
        worker(engine, *map(Path, paths))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file, gates, warm = folder / "events.fcs", folder / "gates.xml", folder / "warm.fcs"
        write_gates(gates)
        write_events(warm, 2_000, chosen.seed + 1)
        write_events(file, chosen.events, chosen.seed)
        say(f"{chosen.events:,} events x {len(NAMES)} parameters, {file.stat().st_size / 1e6:.0f} MB")
        say(f"{'engine':8} {'CPU s':>7} {'wall s':>7} {'private MB':>11}  counts")
        for engine in ["nadir"] + ["flowkit"] * (not chosen.without_flowkit):
            command = [
                sys.executable,
                __file__,
                "--worker",
                engine,
                file,
                gates,
                warm,
                folder / f"{engine}.npy",
            ]
            said = subprocess.run(
                [str(c) for c in command], check=True, capture_output=True, text=True
            ).stdout
            r = json.loads(said)
            say(f"{engine:8} {r['cpu']:7.2f} {r['wall']:7.2f} {r['mb']:11.0f}  {r['counts']}")
        if not chosen.without_flowkit:
            ours, theirs = (np.load(folder / f"{e}.npy") for e in ("nadir", "flowkit"))
            say(f"memberships that differ: {int(np.bitwise_count(ours ^ theirs).sum())}")


if __name__ == "__main__":
    main()
