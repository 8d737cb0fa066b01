"""Variants on the genome: their names, their effect on transcript and protein.

::

    reference     bases of a FASTA file, contigs told apart by name, length and MD5
    gene_models   GFF3 → one transcript a gene, chosen by configuration or MANE
    coordinates   genome ↔ transcript ↔ c. and n. positions
    edits         alleles trimmed, moved to their last place, duplication told from insertion
    hgvs          g., c. and n. names
    protein       p. names
    consequence   Sequence Ontology terms
    effect        one variant, all of the above
    annotate      VCF in, VCF out
    alignment     FASTQ → BAM with UMIs
    molecules     BAM → molecules → evidence
    evidence      what molecules show at each site: counts, and a row per difference
    calling       molecules → calls in VCF, against a background of errors
    simulation    UMI libraries with planted variants and errors
"""
