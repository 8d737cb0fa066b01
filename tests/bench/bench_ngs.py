"""Speed and accuracy of `mrd_ngs`, IgBLAST on the same reads in the same run where it is given.

    python tests/bench/bench_ngs.py [--igblast sadie_antibody-2.1.1-py3-none-any.whl]

CPU seconds are user and system seconds of the kernel's accounting of a process of its own, interpreter
start and loading of compiled kernels included. A first run compiles the kernels, and Python's bytecode into a
folder of its own (an installed package has it); neither is in the best of several runs.
"""

import argparse
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mrd_ngs.annotate import annotate_sequences
from mrd_ngs.germline import GermlineSet, load_germline
from pipeline.formats.fastq import read_fastq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.igblast import IgBlast
from rearrangements import gene, recombine
from references import SHARED, packed_reads, packed_rows

SIM, REAL = SHARED / "ngs_sim", SHARED / "ngs_real"
BYTECODE = Path(tempfile.gettempdir()) / "nadir-bench-bytecode"
LIBRARIES = {"baseline": 50_000, "d1e-3_r0": 1_000_000, "d1e-5_r0": 1_000_000, "neg_near": 1_000_000}


class Run(NamedTuple):
    """One command: user and system seconds, wall seconds, the largest process in MB, what it printed."""

    cpu: float
    wall: float
    peak_mb: float
    said: str


class Call(NamedTuple):
    """What one annotation says of one read."""

    v: list[str]
    j: str
    junction: str


def nadir(*arguments: object, one_thread: bool = True) -> Run:
    """Run ``nadir`` in a process of its own."""
    limits = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"} if one_thread else {}
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *(str(argument) for argument in arguments)],
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, **limits, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(BYTECODE)},
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - started
        said.seek(0)
        text = said.read()
    if process.returncode:
        raise SystemExit(f"{arguments}: {text}")
    return Run(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, text)


def table(title: str, head: list[str], rows: list[list[str]]) -> None:
    """Print a table."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    sys.stdout.write(f"\n{title}\n")
    for row in (head, ["-" * width for width in widths], *rows):
        sys.stdout.write(
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + "\n"
        )
    sys.stdout.flush()


def ours(reads: list[tuple[str, str]], germline: GermlineSet) -> dict[str, Call]:
    """Our calls by read name."""
    found = annotate_sequences([bases for _, bases in reads], germline)
    return {
        name: Call(f.v_call.split(","), f.j_call, f.junction)
        for (name, _), f in zip(reads, found, strict=True)
        if f is not None
    }


def theirs(rows: dict[str, dict[str, str]]) -> dict[str, Call]:
    """IgBLAST's calls by read name."""
    return {
        name: Call(row["v_call"].split(","), row["j_call"].split(",")[0], row["junction"])
        for name, row in rows.items()
        if row["v_call"]
    }


def agreement(calls: dict[str, Call], truth: list[dict[str, str]]) -> list[str]:
    """Shares of reads: junction exact, V gene first, V gene among ties, J gene."""
    flags = []
    for row in truth:
        call = calls.get(row["id"], Call([], "", ""))
        v = gene(row["v"])
        flags.append(
            (
                call.junction == row["junction"],
                bool(call.v) and gene(call.v[0]) == v,
                v in {gene(allele) for allele in call.v},
                gene(call.j) == gene(row["j"]),
            )
        )
    return [f"{share:.4f}" for share in np.mean(flags, axis=0)]


def hard_reads(number: int, germline: GermlineSet) -> tuple[list[tuple[str, str]], list[dict[str, str]]]:
    """Reads of 150-300 nt, 9-12 % mutated, half with a V indel of 1-6 nt, half reverse-complemented."""
    rng = np.random.default_rng(11)
    truths = [recombine(rng, germline, rates=(0.09, 0.12), indel_share=0.5) for _ in range(number)]
    reads = [(f"H{i}", truth.read) for i, truth in enumerate(truths)]
    return reads, [{"id": f"H{i}", "v": t.v, "j": t.j, "junction": t.junction} for i, t in enumerate(truths)]


def accuracy(peer: IgBlast | None, peer_reads: int, germline: GermlineSet) -> None:
    """The accuracy table."""
    rows = []
    simulated = (
        ("simA20k", SIM / "simA20k.fastq.gz", SIM / "simA20k.truth.tsv.gz"),
        ("simF", SIM / "simF.fa.gz", SIM / "simF.truth.tsv.gz"),
    )
    sets = [(name, packed_reads(path), packed_rows(truth)) for name, path, truth in simulated]
    for name, reads, truth in [*sets, ("hard", *hard_reads(5_000, germline))]:
        rows.append([name, "nadir", f"{len(reads):,}", "", *agreement(ours(reads, germline), truth)])
        if peer is not None:
            few, known = reads[:peer_reads], truth[:peer_reads]
            answered, spent = peer.annotate(few)
            rows.append([name, "nadir", f"{len(few):,}", "", *agreement(ours(few, germline), known)])
            speed = f"{len(few) / spent:,.1f}"
            rows.append([name, "IgBLAST", f"{len(few):,}", speed, *agreement(theirs(answered), known)])
    head = ["reads", "who", "number", "reads/CPU s", "junction", "V first", "V in ties", "J"]
    table("accuracy (share of reads)", head, rows)


def real_reads(germline: GermlineSet) -> None:
    """Junctions of real reads beside IgBLAST's of the stored tables."""
    rows = []
    for name in ("sonar_merged", "igrec_merged400"):
        calls = ours(packed_reads(REAL / f"{name}.fastq.gz"), germline)
        peer = {row["sequence_id"]: row for row in packed_rows(REAL / f"{name}.igblast.tsv.gz")}
        both = [name for name, row in peer.items() if row["junction"]]
        same = sum(name in calls and calls[name].junction == peer[name]["junction"] for name in both)
        alone = sum(1 for name, call in calls.items() if call.junction and not peer[name]["junction"])
        rows.append([name, f"{len(peer):,}", f"{len(both):,}", f"{same / len(both):.4f}", str(alone)])
    head = ["real reads", "reads", "junction by IgBLAST", "same junction", "by us alone"]
    table("real reads (IgBLAST is a peer, not the truth)", head, rows)


def distinct_reads(target: Path, number: int) -> None:
    """Write reads made of simA20k's, three random bases of each set at random, so that all are distinct."""
    rng = np.random.default_rng(20_26)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    reads = list(read_fastq(SIM / "simA20k.fastq.gz"))
    with target.open("wb") as file:
        for index in range(number):
            read = reads[index % len(reads)]
            bases = np.frombuffer(read.sequence, dtype=np.uint8).copy()
            bases[rng.integers(0, len(bases), 3)] = letters[rng.integers(0, 4, 3)]
            file.write(b"@%s_%d\n%s\n+\n%s\n" % (read.name.encode(), index, bases.tobytes(), read.qualities))


def speed(folder: Path, number: int, repeats: int) -> None:
    """The speed table."""
    rows = []
    few, many = folder / "few.fastq", folder / "many.fastq"
    distinct_reads(few, 100)
    distinct_reads(many, number)
    nadir("ngs", "annotate", few, "--out", folder / "few.tsv")
    for threads in (1, 2):
        runs = [
            nadir("ngs", "annotate", many, "--out", folder / "many.tsv", "--threads", threads)
            for _ in range(repeats)
        ]
        rows.append(timed(f"annotate, {threads} thread{'s' * (threads > 1)}, all distinct", number, runs))
    spike_ins = folder / "S.tsv"
    known = json.loads((SIM / "truth.json").read_text())["spike_ins"]
    spike_ins.write_text(
        "name\tsequence\tcopies\n"
        + "".join(f"S{i + 1}\t{s['seq']}\t{s['copies']}\n" for i, s in enumerate(known))
    )
    markers = folder / "markers.json"
    for name, cells in LIBRARIES.items():
        library = SIM / f"{name}.fastq.gz"
        reads = sum(1 for _ in read_fastq(library))
        given = (library, "--spike-ins", spike_ins, "--cells", cells)
        if name == "baseline":
            runs = [nadir("ngs", "index", *given, "--out", markers) for _ in range(repeats)]
            rows.append(timed(f"index {name}", reads, runs))
        runs = [
            nadir("ngs", "track", *given, "--markers", markers, "--out", folder / "r.json")
            for _ in range(repeats)
        ]
        rows.append(timed(f"track {name}", reads, runs))
        runs = [nadir("ngs", "clones", *given, "--out", folder / "c.tsv") for _ in range(repeats)]
        rows.append(timed(f"clones {name}", reads, runs))
    big = folder / "big.fastq.gz"
    parts = [SIM / f"{name}.fastq.gz" for name in ("d1e-3_r0", "d1e-5_r0", "neg_near")] * 6
    with big.open("wb") as file:
        for part in parts:
            file.write(part.read_bytes())
    reads = sum(1 for _ in read_fastq(big))
    run = nadir(
        *("ngs", "track", big, "--spike-ins", spike_ins, "--cells", 1_000_000),
        *("--markers", markers, "--out", folder / "r.json"),
        one_thread=False,
    )
    rows.append(timed("track, libraries joined", reads, [run]))
    head = ["what", "reads", "CPU s best", "median", "reads/CPU s best", "wall s best", "peak MB"]
    table("speed", head, rows)


def timed(what: str, reads: int, runs: list[Run]) -> list[str]:
    """A row of the speed table."""
    cpu = sorted(run.cpu for run in runs)
    return [
        what,
        f"{reads:,}",
        f"{cpu[0]:.2f}",
        f"{cpu[len(cpu) // 2]:.2f}",
        f"{reads / cpu[0]:,.0f}",
        f"{min(run.wall for run in runs):.1f}",
        f"{max(run.peak_mb for run in runs):.0f}",
    ]


def machine() -> str:
    """The machine in words."""
    try:
        name = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        name = None
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    cpu = name.group(1) if name else platform.processor()
    return f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Benchmark of mrd_ngs")
    parser.add_argument("--igblast", type=Path, help="wheel of sadie-antibody, which holds IgBLAST")
    parser.add_argument("--reads", type=int, default=200_000, help="distinct reads to annotate")
    parser.add_argument("--peer-reads", type=int, default=2_000, help="reads of each set that IgBLAST gets")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    germline = load_germline()
    sys.stdout.write(f"{machine()}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peer = None
        if arguments.igblast:
            (folder / "igblast").mkdir()
            peer = IgBlast(arguments.igblast, folder / "igblast", germline)
            sys.stdout.write(f"{peer.version()}\n")
        speed(folder, arguments.reads, arguments.repeats)
        accuracy(peer, arguments.peer_reads, germline)
    real_reads(germline)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"\nlargest of this process {peak:.0f} MB\n")


if __name__ == "__main__":
    main()
