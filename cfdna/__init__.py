"""Tumour DNA in plasma and marrow. No code yet: the place of the assay in the house is kept."""
