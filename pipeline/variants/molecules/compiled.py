"""Compile every kernel once, so that the first sample need not wait for it.

numba keeps what it compiled beside the package; the installation calls this.
"""

import tempfile
from pathlib import Path

import numpy as np

from pipeline.formats.bed import Target
from pipeline.variants.molecules.reader import read_evidence
from pipeline.variants.reference import Reference
from pipeline.variants.simulation.design import LibraryDesign
from pipeline.variants.simulation.library import LibraryFiles, simulate_library
from pipeline.variants.simulation.made_up import draw_contigs

__all__ = ["compile_kernels"]


def compile_kernels() -> int:
    """Simulate a tiny library in a temporary folder and read it; how many molecules it had."""
    import pysam

    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory(prefix=".nadir-") as name:
        fasta, bam = Path(name) / "made_up.fa", Path(name) / "made_up.bam"
        contigs = draw_contigs(rng, {"made_up": 2_000})
        fasta.write_text("".join(f">{contig}\n{bases}\n" for contig, bases in contigs.items()))
        pysam.faidx(str(fasta))
        targets = [Target("made_up", 800, 1_200)]
        with Reference(fasta) as reference:
            simulate_library(
                reference,
                targets,
                [],
                LibraryDesign(depth_molecules=10),
                rng,
                LibraryFiles(bam=bam),
                sample="made_up",
            )
            return sum(window.molecules for window in read_evidence(bam, reference, targets))
