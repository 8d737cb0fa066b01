"""Whose sample is it: exchanged samples, contamination, sex."""
