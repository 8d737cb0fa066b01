"""Comparison of methods. No code yet beyond what ``pipeline.detection`` says of one result."""
