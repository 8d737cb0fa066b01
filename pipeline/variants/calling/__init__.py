"""Calls from molecules: what errors would show, and what therefore is no error.

::

    settings       choices of the caller
    contexts       trinucleotides and runs of equal bases around a site
    background     error rates by context and strand class, and by site; Parquet
    learning       background from controls, or from a sample outside its candidates
    score_kernels  distribution of the score under error alone
    scoring        score, p-value and decision of alleles
    candidates     alleles of molecules: substitutions, indels, and what molecules join
    filters        why a candidate is rejected
    limits         the smallest VAF that would be called, at every site
    caller         windows of evidence → calls
    vcf_records    calls → VCF 4.4
"""
