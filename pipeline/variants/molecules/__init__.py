"""Reads to molecules, molecules to evidence at each site.

::

    settings           run choices
    intake             BAM or CRAM checked, sorted and indexed where it needs that
    bgzf, bam_index    blocks and offsets of a BAM file
    records            alignments of a stretch of targets, loaded and dropped as sites go by
    record_kernels     raw BAM records: found, read, mates joined
    grouping           fragments by both ends and UMI: molecules
    family_kernels     misread UMIs, by directional adjacency
    alignment_kernels  CIGARs, indels in their leftmost place, ends realigned
    layer_kernels      one pair of reads laid over the reference, mates counted once
    pileup_kernels     votes of reads, by strand, to counts and observations
    pileup             the kernels' arrays to `pipeline.variants.evidence.SiteEvidence`
    windows            targets joined to stretches, cut to windows
    reader             all of it: `read_evidence`
    compiled           kernels compiled at installation
    tally              what became of each alignment
"""

from pipeline.variants.molecules.reader import read_evidence
from pipeline.variants.molecules.settings import MoleculeSettings, UmiSource
from pipeline.variants.molecules.tally import ReadTally

__all__ = ["MoleculeSettings", "ReadTally", "UmiSource", "read_evidence"]
