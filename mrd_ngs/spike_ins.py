"""Synthetic templates of known number: the sheet that lists them, and what they calibrate.

A spike-in passes through the same PCR and the same sequencer as the patient's DNA, so
its reads per copy say how many reads one template of the clone gives.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrd_ngs.evidence import DistinctReads, SpikeIn
from mrd_ngs.settings import NgsSettings
from mrd_ngs.window import window_mismatches
from pipeline.detection import detection_probability
from pipeline.detection.tails import beta_lower
from pipeline.errors import InputRefused, Problem, SheetRefused

__all__ = ["Calibration", "calibrate", "fit_calibration", "parse_spike_ins"]

_COLUMNS = ("name", "sequence", "copies")
_MIN_SPIKE_INS = 3  # two degrees of freedom: fewer say nothing about jackpots
_MIN_LENGTH_NT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Reads per template, and how sure that is.

    ``reads_per_template`` m is total spike-in reads / total copies. ``dispersion`` is the
    index of dispersion of the reads of a known number of templates: the variance between
    spike-ins relative to Poisson, or that of the least spread of yields reckoned with
    (`fit_calibration`); PCR jackpots raise it. ``relative_error`` is the standard error of m divided
    by m, by what the spike-ins show alone, with ``degrees_of_freedom``. ``error_rate`` is
    the substitution rate per base seen in the spike-ins. ``missing`` names spike-ins
    without a read.
    """

    reads_per_template: float
    dispersion: float
    relative_error: float
    degrees_of_freedom: int
    error_rate: float
    reads: int
    copies: float
    missing: tuple[str, ...]

    @property
    def template_dispersion(self) -> float:
        """Variance of an estimated number of templates relative to a Poisson count's.

        With T ~ Poisson(lambda) templates of m reads each and variance phi m between
        them, the reads have variance lambda (phi m + m^2); divided by lambda m^2 that is
        1 + phi / m.
        """
        return 1.0 + self.dispersion / self.reads_per_template

    def detection_efficiency(self, reads: int) -> float:
        """Probability that one template gives at least ``reads`` reads.

        Negative binomial with mean m and variance phi m; Poisson where phi is 1.
        """
        if self.dispersion <= 1.0 + 1e-9:
            return detection_probability(self.reads_per_template, reads)
        size = self.reads_per_template / (self.dispersion - 1.0)
        return 1.0 - beta_lower(size, reads, 1.0 / self.dispersion)


def parse_spike_ins(text: str, *, path: Path | str | None = None) -> tuple[SpikeIn, ...]:
    r"""Read a spike-in sheet: tab-separated, columns ``name``, ``sequence``, ``copies``.

    Parameters
    ----------
    text
        The sheet's text.
    path
        Its file, for messages.

    Returns
    -------
    tuple of SpikeIn
        In the order of the sheet, recognised around the middle of each sequence.

    Raises
    ------
    SheetRefused
        With every problem at once, by line and column.
    InputRefused
        If a column is missing or there are fewer than three spike-ins.

    Examples
    --------
    >>> sheet = "name\tsequence\tcopies\n" + "".join(f"S{i}\t{b * 60}\t40\n" for i, b in enumerate("ACG"))
    >>> [s.name for s in parse_spike_ins(sheet)]
    ['S0', 'S1', 'S2']
    """
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter="\t", quoting=csv.QUOTE_NONE)
    header = [cell.strip() for cell in next(rows, [])]
    missing = [column for column in _COLUMNS if column not in header]
    if missing:
        raise InputRefused(
            f"a spike-in sheet without the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            path=path,
            line=1,
            expected="tab-separated columns name, sequence, copies",
        )
    places = [header.index(column) for column in _COLUMNS]
    problems: list[Problem] = []
    found: dict[str, SpikeIn] = {}
    sequences: dict[bytes, int] = {}
    for line, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        cells = [row[p].strip() if p < len(row) else "" for p in places]
        spike_in = _parse_row(cells, line, problems)
        if spike_in is not None and _is_new(spike_in, line, found, sequences, problems):
            found[spike_in.name] = spike_in
            sequences[spike_in.sequence] = line
    if problems:
        raise SheetRefused(path or "spike-ins", problems)
    if len(found) < _MIN_SPIKE_INS:
        raise InputRefused(
            f"{len(found)} spike-ins",
            path=path,
            expected=f"at least {_MIN_SPIKE_INS}, so that the spread between them can be told",
        )
    return tuple(found.values())


def calibrate(
    reads: DistinctReads,
    spike_ins: Sequence[SpikeIn],
    *,
    window_nt: int,
    settings: NgsSettings,
    counted: str = "reads",
) -> Calibration | None:
    """Reads per template from spike-ins of known number.

    Parameters
    ----------
    reads
        Distinct reads of the library, spike-ins included.
    spike_ins
        At least three.
    window_nt
        Length of the window in which they are counted exactly. Take the clone's: then
        both lose the same share of reads to sequencing errors.
    settings
        For the floors of the error rate and of the spread of yields.
    counted
        ``reads``, or ``molecules`` (UMIs), which have no yields.

    Returns
    -------
    Calibration or None
        None where there are no spike-ins or none has a read.

    Notes
    -----
    Copies are taken as exact. If they are themselves a Poisson draw, the spread between
    spike-ins grows by it and the interval widens: that errs on the safe side. A clone
    amplified better or worse than the spike-ins (a mutated primer site) is not seen.
    """
    counts = [_near_counts(reads, s.window(window_nt)) for s in spike_ins]
    bases = sum(c[0] * min(window_nt, len(s.sequence)) for c, s in zip(counts, spike_ins, strict=True))
    errors = sum(count[1] for count in counts)
    return fit_calibration(
        [(s.name, count[0], s.copies) for s, count in zip(spike_ins, counts, strict=True)],
        error_rate=max(settings.error_rate_min, errors / bases if bases else 0.0),
        yield_cv_min=settings.template_yield_cv_min if counted == "reads" else 0.0,
    )


def fit_calibration(
    spike_ins: Sequence[tuple[str, int, float]], *, error_rate: float, yield_cv_min: float = 0.0
) -> Calibration | None:
    """Reads per template from each spike-in's name, reads and copies; None without a read.

    m = sum of reads / sum of copies; dispersion = Pearson's chi-square of the reads
    against m x copies, divided by its degrees of freedom; relative error of
    m = sqrt(dispersion / sum of reads).

    A few spike-ins may agree by chance, and a clone may amplify less evenly than they do. So a template's
    reads are taken to vary at least as those of templates whose yields have the coefficient of
    variation c = ``yield_cv_min``: dispersion >= 1 + c^2 m. Molecules (UMIs) have no yields: c = 0.

    Examples
    --------
    >>> three = [("A", 90, 40), ("B", 110, 40), ("C", 100, 40)]
    >>> fit = fit_calibration(three, error_rate=0.001)
    >>> fit.reads_per_template, fit.dispersion, round(fit.relative_error, 4)
    (2.5, 1.0, 0.0577)
    >>> round(fit_calibration(three, error_rate=0.001, yield_cv_min=0.8).dispersion, 2)
    2.6
    """
    exact = np.array([reads for _, reads, _ in spike_ins], dtype=np.float64)
    total = float(exact.sum())
    if not total:
        return None
    copies = np.array([known for _, _, known in spike_ins], dtype=np.float64)
    per_template = total / float(copies.sum())
    expected = per_template * copies
    degrees = len(spike_ins) - 1
    seen = max(1.0, float(((exact - expected) ** 2 / expected).sum()) / degrees)
    return Calibration(
        reads_per_template=per_template,
        dispersion=max(seen, 1.0 + yield_cv_min**2 * per_template),
        relative_error=(seen / total) ** 0.5,
        degrees_of_freedom=degrees,
        error_rate=error_rate,
        reads=int(total),
        copies=float(copies.sum()),
        missing=tuple(name for name, reads, _ in spike_ins if not reads),
    )


def _near_counts(reads: DistinctReads, window: bytes) -> tuple[int, int]:
    """Reads with the window unchanged, and with one mismatch."""
    indices, mismatches = window_mismatches(reads, window, max_mismatches=1)
    counts = reads.counts[indices]
    return int(counts[mismatches == 0].sum()), int(counts[mismatches == 1].sum())


def _parse_row(cells: Sequence[str], line: int, problems: list[Problem]) -> SpikeIn | None:
    name, sequence, copies = cells
    before = len(problems)

    def refuse(column: str, code: str, cause: str, remedy: str) -> None:
        problems.append(Problem(line=line, column=column, code=code, cause=cause, remedy=remedy))

    bases = sequence.upper().encode("ascii", "replace")
    if not name:
        refuse("name", "empty_name", "the spike-in has no name", "name it")
    if bases.translate(None, b"ACGT"):
        refuse("sequence", "not_nucleotides", "the sequence holds more than A, C, G, T", "correct it")
    elif len(bases) < _MIN_LENGTH_NT:
        refuse(
            "sequence",
            "short_sequence",
            f"the sequence has {len(bases)} nucleotides",
            f"give the whole synthetic template (at least {_MIN_LENGTH_NT})",
        )
    number = _positive(copies)
    if number is None:
        refuse("copies", "not_copies", "copies is not a number above 0", "state the copies added")
    if number is None or len(problems) > before:
        return None
    return SpikeIn(name=name, sequence=bases, copies=number, centre=len(bases) // 2)


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < 1e12 else None


def _is_new(
    spike_in: SpikeIn,
    line: int,
    found: dict[str, SpikeIn],
    sequences: dict[bytes, int],
    problems: list[Problem],
) -> bool:
    if spike_in.name in found:
        cause, column = "the name stands twice", "name"
    elif spike_in.sequence in sequences:
        cause, column = f"the sequence is that of line {sequences[spike_in.sequence]}", "sequence"
    else:
        return True
    problems.append(
        Problem(line=line, column=column, code="duplicate", cause=cause, remedy="remove one of the lines")
    )
    return False
