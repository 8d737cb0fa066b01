"""Simulated libraries, whose reads carry the number of their molecule in their names."""

from collections import defaultdict

import numpy as np
import pytest

from molecule_reads import write_reference
from pipeline.variants.evidence import StrandClass
from pipeline.variants.molecules import MoleculeSettings, read_evidence
from pipeline.variants.molecules.grouping import group_molecules
from pipeline.variants.molecules.intake import ready_alignments
from pipeline.variants.molecules.record_kernels import OFFSET
from pipeline.variants.molecules.records import RecordStream
from pipeline.variants.reference import Reference
from pipeline.variants.simulation.design import LibraryDesign
from pipeline.variants.simulation.library import LibraryFiles, simulate_library
from pipeline.variants.simulation.made_up import draw_contigs, targets_of

NAME_AT = 36  # in a BAM record
MOLECULE_LETTERS = 10  # m000000123


def simulated(folder, *, depth, seed):
    rng = np.random.default_rng(seed)
    contigs = draw_contigs(rng, {"made_up": 12_000})
    fasta = write_reference(folder / "ref.fa", contigs)
    bam = folder / "sample.bam"
    with Reference(fasta) as reference:
        targets = targets_of(reference.lengths_nt)
        design, files = LibraryDesign(depth_molecules=depth), LibraryFiles(bam=bam)
        simulate_library(reference, targets, [], design, rng, files, sample="sample")
    return bam, fasta, targets


def test_at_least_999_of_1000_molecules_are_right(tmp_path):
    """A molecule is right where its fragments are together and with no other's."""
    bam, fasta, targets = simulated(tmp_path, depth=500, seed=3)
    settings = MoleculeSettings()
    with (
        Reference(fasta) as reference,
        ready_alignments(bam, reference, targets) as reads,
        RecordStream(reads, "made_up", 0, 12_000, settings) as stream,
    ):
        stream.load(10**9)
        families = group_molecules(stream.data, stream.table, stream.umi_lengths, settings)
        offsets = stream.table[:, OFFSET] + NAME_AT
        names = stream.data[offsets[:, None] + np.arange(MOLECULE_LETTERS)]
    truth = names.astype(np.int64)[:, 1:] @ 10 ** np.arange(MOLECULE_LETTERS - 2, -1, -1)
    of_fragment = truth[families.pairs.max(axis=1)]
    found = np.repeat(np.arange(families.molecules), np.diff(families.starts))
    together, members = defaultdict(set), defaultdict(set)
    for one, other in zip(of_fragment.tolist(), found.tolist(), strict=True):
        together[one].add(other)
        members[other].add(one)
    right = sum(len(f) == 1 and len(members[next(iter(f))]) == 1 for f in together.values())
    assert len(together) > 5_000
    assert right >= 0.999 * len(together)


@pytest.mark.slow
def test_duplex_molecules_have_an_error_in_a_million_bases_at_most(tmp_path):
    """With damage, end repair, PCR and misplaced reads on; single reads keep the sequencer's errors."""
    bam, fasta, targets = simulated(tmp_path, depth=3_000, seed=4)
    wrong, bases = np.zeros(5), np.zeros(5)
    with Reference(fasta) as reference:
        for window in read_evidence(bam, reference, targets):
            bases += window.counts[:, :4].sum(axis=(0, 1))
            for k, allele in enumerate(window.alleles):
                if len(allele.ref) == len(allele.alt):
                    wrong += np.bincount(window.observed(k)["strand_class"], minlength=5)
    assert bases[StrandClass.DUPLEX] > 4e6
    assert wrong[StrandClass.DUPLEX] <= max(1e-6 * bases[StrandClass.DUPLEX], 1)
    assert 1e-4 < wrong[StrandClass.SINGLE_FORWARD] / bases[StrandClass.SINGLE_FORWARD] < 1e-3
