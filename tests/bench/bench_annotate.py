"""Speed of V(D)J annotation; reads/CPU second with start-up, one thread.

    python tests/bench/bench_annotate.py [--reads 200000] [--json]

Throughput: simA20k repeated with three random bases changed in each read, so that all are
distinct, from FASTQ to a full AIRR table, in a process of its own (user + system seconds of
the kernel's accounting, interpreter start and loading of compiled kernels included; they
are compiled and cached by a first, untimed run). No peer is run here yet; accuracy is
asserted in ``tests/mrd_ngs/test_annotate_reference.py``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from pipeline.formats.fastq import read_fastq

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
ANNOTATE = """
import sys
from pathlib import Path
from mrd_ngs.annotate import write_airr
from mrd_ngs.germline import load_germline
from pipeline.formats.fastq import read_fastq
reads = ((read.name, read.sequence) for read in read_fastq(Path(sys.argv[1])))
count = write_airr(Path(sys.argv[2]), reads, load_germline())
sys.stdout.write(f"{count.reads} {count.rearrangements} {count.junctions}")
"""


def distinct_reads(source: Path, target: Path, number: int) -> None:
    """Write ``number`` reads made of those of ``source``, three random bases of each set at random."""
    rng = np.random.default_rng(20_26)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    reads = list(read_fastq(source))
    with target.open("wb") as file:
        for index in range(number):
            read = reads[index % len(reads)]
            bases = np.frombuffer(read.sequence, dtype=np.uint8).copy()
            bases[rng.integers(0, len(bases), 3)] = letters[rng.integers(0, 4, 3)]
            file.write(b"@%s_%d\n%s\n+\n%s\n" % (read.name.encode(), index, bases.tobytes(), read.qualities))


def cpu_seconds(fastq: Path, table: Path) -> tuple[float, str]:
    """CPU seconds of one annotation in a process of its own, and what it counted."""
    before = os.times()
    run = subprocess.run(
        [sys.executable, "-c", ANNOTATE, str(fastq), str(table)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return spent, run.stdout


def throughput(number: int, repeats: int) -> dict[str, object]:
    """Reads per CPU second of the best and the median of some runs."""
    with tempfile.TemporaryDirectory() as folder:
        fastq, table = Path(folder) / "reads.fastq", Path(folder) / "reads.airr.tsv"
        distinct_reads(SHARED / "ngs_sim" / "simA20k.fastq.gz", fastq, 100)
        cpu_seconds(fastq, table)
        distinct_reads(SHARED / "ngs_sim" / "simA20k.fastq.gz", fastq, number)
        runs = [cpu_seconds(fastq, table) for _ in range(repeats)]
        size = table.stat().st_size
    seconds = sorted(spent for spent, _ in runs)
    return {
        "reads": number,
        "rearrangements": int(runs[0][1].split()[1]),
        "junctions": int(runs[0][1].split()[2]),
        "cpu_seconds_best": round(seconds[0], 2),
        "cpu_seconds_median": round(seconds[len(seconds) // 2], 2),
        "reads_per_cpu_second_best": round(number / seconds[0]),
        "reads_per_cpu_second_median": round(number / seconds[len(seconds) // 2]),
        "table_megabytes": round(size / 1e6),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Benchmark of V(D)J annotation")
    parser.add_argument("--reads", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="machine output")
    arguments = parser.parse_args()
    figures = throughput(arguments.reads, arguments.repeats)
    if arguments.json:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
        return
    sys.stdout.write("annotate, simA20k-like, all distinct, full AIRR table, one thread\n")
    for name, value in figures.items():
        sys.stdout.write(f"  {name:30} {value:>12,}\n")


if __name__ == "__main__":
    main()
