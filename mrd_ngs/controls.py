"""Controls of a run as they are read: of a negative one no read at all is the best there is."""

import gzip
import zlib
from pathlib import Path

from mrd_ngs.evidence import DistinctReads, Library
from mrd_ngs.preparation import Preparation
from mrd_ngs.read import check_sample, read_library
from mrd_ngs.settings import NgsSettings
from pipeline.errors import DamagedFile, InputRefused, SheetRefused
from pipeline.formats.digest import sha256_file, sha256_joined
from pipeline.model import Role, Sample

__all__ = ["check_control", "read_control"]


def read_control(sample: Sample, settings: NgsSettings) -> Library:
    """Read a control.

    Parameters
    ----------
    sample
        With the role of a control.
    settings
        As for `mrd_ngs.read.read_library`.

    Returns
    -------
    Library
        Of a negative control without a usable read (none in the file, or primer dimers only): one
        without reads.

    Raises
    ------
    DamagedFile, InputRefused
        As `mrd_ngs.read.read_library`, but for the above.
    """
    if sample.role is not Role.NEGATIVE:
        return read_library(sample, settings)
    Preparation(sample.files, settings)  # refuses files that the settings do not fit
    if all(map(_holds_nothing, sample.files)):
        return _without_reads(sample)
    try:
        return read_library(sample, settings)
    except (DamagedFile, SheetRefused):
        raise
    except InputRefused:
        return _without_reads(sample)


def check_control(sample: Sample) -> None:
    """Find a control's files undamaged; those of a negative one may be compressed nothing.

    Raises
    ------
    DamagedFile, InputRefused
        As `mrd_ngs.read.check_sample`.
    """
    if sample.role is Role.NEGATIVE and all(map(_holds_nothing, sample.files)):
        return
    check_sample(sample)


def _holds_nothing(path: Path) -> bool:
    """Whether a file is gzip and whole, and holds nothing."""
    try:
        with gzip.open(path) as file:
            return not file.read(1)
    except (OSError, EOFError, zlib.error):
        return False  # no gzip, or damaged: reading it says what


def _without_reads(sample: Sample) -> Library:
    nothing = DistinctReads.from_counts({})
    return Library(
        sample=sample,
        reads=nothing,
        spike_ins=(),
        spike_in_reads=nothing,
        input_reads=0,
        fates=(),
        input_sha256=sha256_joined(sha256_file(path) for path in sample.files),
    )
