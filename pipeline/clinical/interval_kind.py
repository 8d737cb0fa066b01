"""The kinds of interval of a curve; apart from the estimators, so that a command can name them cheaply."""

from enum import StrEnum

__all__ = ["IntervalKind"]


class IntervalKind(StrEnum):
    """The scale on which an interval is symmetric."""

    LOG_LOG = "log_log"
    LOG = "log"
    PLAIN = "plain"
