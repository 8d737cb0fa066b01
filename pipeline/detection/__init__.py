"""Intervals, limits of detection, and readings at a threshold."""

from pipeline.detection.intervals import Interval, clopper_pearson, garwood, newcombe, wilson
from pipeline.detection.lod import (
    DETECTION_POWER,
    decision_count_above_background,
    decision_threshold,
    detection_probability,
    mean_count_for_detection,
    sample_lod,
)
from pipeline.detection.threshold import Call, Reading, ReadingReason, call_at, read_at

__all__ = [
    "DETECTION_POWER",
    "Call",
    "Interval",
    "Reading",
    "ReadingReason",
    "call_at",
    "clopper_pearson",
    "decision_count_above_background",
    "decision_threshold",
    "detection_probability",
    "garwood",
    "mean_count_for_detection",
    "newcombe",
    "read_at",
    "sample_lod",
    "wilson",
]
