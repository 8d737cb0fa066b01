"""Clonal haematopoiesis. No code yet: the place of the assay in the house is kept."""
