"""Clonal immunoglobulin rearrangements by sequencing: found at diagnosis, followed as cells per million."""
