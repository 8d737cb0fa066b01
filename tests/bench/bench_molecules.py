"""Speed and residual error of molecules on a simulated library.

    python tests/bench/bench_molecules.py [--depth 2800] [--bam X.bam --reference FA --targets BED]

Without ``--bam`` a library is simulated on the made-up reference. Read pairs a second count CPU
seconds of one thread, the second of two runs (the first compiles); peers on PATH get the same BAM.
"""

import argparse
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pysam

from pipeline.formats.bed import Target, read_targets
from pipeline.variants.molecules import ReadTally, read_evidence
from pipeline.variants.reference import Reference
from pipeline.variants.simulation.design import LibraryDesign
from pipeline.variants.simulation.library import LibraryFiles, simulate_library
from pipeline.variants.simulation.made_up import draw_contigs, targets_of

PEERS = {
    "umi_tools": ["umi_tools", "group", "--paired", "--extract-umi-method=tag", "--umi-tag=RX", "-I", "{bam}",
                  "--output-bam", "-S", "{out}"],
    "gencore": ["gencore", "-i", "{bam}", "-r", "{fasta}", "-o", "{out}"],
}  # fmt: skip


def simulate(folder: Path, depth: float) -> tuple[Path, Path, tuple[Target, ...]]:
    """BAM, reference and targets of a simulated library."""
    rng = np.random.default_rng(1)
    fasta, bam = folder / "made_up.fa", folder / "made_up.bam"
    contigs = draw_contigs(rng)
    fasta.write_text("".join(f">{name}\n{bases}\n" for name, bases in contigs.items()))
    pysam.faidx(str(fasta))
    with Reference(fasta) as reference:
        targets = tuple(targets_of(reference.lengths_nt))
        design = LibraryDesign(depth_molecules=depth)
        simulate_library(reference, targets, [], design, rng, LibraryFiles(bam=bam), sample="made_up")
    return bam, fasta, targets


def main() -> None:
    """Measure and print one row a program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depth", type=float, default=2800)
    parser.add_argument("--bam", type=Path)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--targets", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.bam:
            with Reference(arguments.reference) as reference:
                targets = read_targets(arguments.targets, reference.lengths_nt)
            bam, fasta = arguments.bam, arguments.reference
        else:
            bam, fasta, targets = simulate(folder, arguments.depth)
        pairs = ours(bam, fasta, targets)
        for peer, command in PEERS.items():
            if shutil.which(peer):
                places = {"bam": str(bam), "fasta": str(fasta), "out": str(folder / "peer.bam")}
                run_peer(peer, [part.format(**places) for part in command], pairs)


def ours(bam: Path, fasta: Path, targets: tuple[Target, ...]) -> int:
    """Print our rows; how many pairs."""
    with Reference(fasta) as reference:
        for _ in range(2):
            tally, begin = ReadTally(), time.process_time()
            windows = list(read_evidence(bam, reference, targets, tally=tally))
            seconds = time.process_time() - begin
    bases = sum(w.counts[:, :4].sum(axis=(0, 1)) for w in windows)
    wrong = np.zeros(5)
    for window in windows:
        for k, allele in enumerate(window.alleles):
            if len(allele.ref) == len(allele.alt):
                wrong += np.bincount(window.observed(k)["strand_class"], minlength=5)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row("nadir, BAM to evidence", tally.fragments, seconds)
    print(f"  {tally.molecules:,} molecules, peak memory {peak:,.0f} MiB")  # noqa: T201
    for label, k in (("one read", [0, 1]), ("one strand", [2, 3]), ("duplex", [4])):
        print(f"  {label}: {wrong[k].sum():,.0f} differ of {bases[k].sum():,.0f} bases")  # noqa: T201
    return tally.fragments


def run_peer(name: str, command: list[str], pairs: int) -> None:
    """Time one peer by its children's CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    row(name, pairs, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def row(what: str, pairs: int, seconds: float) -> None:
    """Print one row."""
    print(f"{what}: {pairs:,} pairs in {seconds:.2f} CPU s: {pairs / seconds:,.0f} a second")  # noqa: T201


if __name__ == "__main__":
    main()
