"""Tumour-informed tracking: whether a plasma holds more mutant molecules than background explains."""
