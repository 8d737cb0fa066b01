"""Plasma cells told normal from aberrant, and what such a call is worth."""
