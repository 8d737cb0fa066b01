"""Aligned reads of a sample, opened for random access."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import DamagedFile, InputRefused

__all__ = ["opened_bam"]

_REMEDY = "sort and index it: samtools sort, samtools index"


@contextmanager
def opened_bam(path: Path) -> Iterator[Any]:
    """An indexed BAM or CRAM file as pysam's ``AlignmentFile``, closed at the end.

    The index may stand beside it as ``X.bam.bai`` or ``X.bai``.

    Raises
    ------
    InputRefused
        If there is no such file, or it has no index or no contigs.
    DamagedFile
        If it is no BAM, or is truncated.
    """
    import pysam

    if not path.is_file():
        raise InputRefused("there is no such file", path=path, remedy="give an aligned, indexed BAM")
    before = pysam.set_verbosity(0)
    try:
        file = pysam.AlignmentFile(str(path), check_sq=False)
    except (OSError, ValueError) as error:
        raise DamagedFile(
            "cannot be read as BAM", path=path, remedy="give an aligned, indexed BAM"
        ) from error
    finally:
        pysam.set_verbosity(before)
    try:
        if not file.references:
            raise InputRefused(
                "has no contigs: its reads are not aligned", path=path, remedy="align it first"
            )
        if not file.has_index():
            raise InputRefused("has no index", path=path, remedy=_REMEDY)
        try:
            yield file
        except OSError as error:
            raise DamagedFile(
                "is truncated or damaged", path=path, remedy="copy or align it again"
            ) from error
    finally:
        file.close()
