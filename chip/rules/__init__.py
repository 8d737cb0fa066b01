"""Rule sets of clonal haematopoiesis: which change of which gene is a driver, and who said so.

::

    genes      known genes, their aliases, X-linkage and proteins
    change     names of changes → what they do to the protein
    rule_set   versioned tables of rules
    checks     is every rule possible on the protein it names
    verdict    change + rule sets → IN, OUT or REVIEW with rule and citation
"""
