"""Tumour DNA in plasma and marrow: tracking, copy number, translocations, fragments, identity."""
