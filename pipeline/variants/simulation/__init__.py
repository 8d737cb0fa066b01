"""UMI duplex libraries with planted variants and errors, and the truth beside them.

::

    design             what a library is: depth, fragments, families, UMIs, error rates
    planted            variants to plant, drawn or read from VCF
    fragments          molecules of a panel, family sizes
    template_kernels   molecule → two strands → copies, each with its own errors
    read_kernels       copies → reads, qualities, and where an aligner would put them
    umis               UMIs of read pairs
    records            reads → bytes of BAM records and of FASTQ
    slab_files         slab by slab into files
    library            the whole way: reference and targets in, BAM or FASTQ and truth out
    truth              truth VCF and error counts
    series             a sample, controls, their truth
    made_up            a reference, for work without a genome
"""
