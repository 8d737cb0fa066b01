"""FASTQ to a sorted, indexed BAM file whose reads carry their UMIs.

::

    umi_reads   pairs of FASTQ with their UMI taken off
    aligners    bwa-mem2 or bwa by subprocess, else minimap2 in this process
    sam_lines   minimap2's hits as SAM
    align       all of it: `align_reads`
"""

from pipeline.variants.alignment.align import AlignmentTally, align_reads

__all__ = ["AlignmentTally", "align_reads"]
