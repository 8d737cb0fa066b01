"""Writing FCS 3.1: 32-bit floats, in chunks, the same bytes for the same events."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.formats.atomic import replacing

__all__ = ["Column", "write_fcs"]

_LARGEST_HEADER_OFFSET = 99_999_999
_TEXT_BEGINS = 256
_DELIMITER = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One parameter to write: $PnN, $PnS (may be empty) and $PnR."""

    name: str
    stain: str = ""
    range: int = 262144


def write_fcs(
    path: Path,
    columns: Sequence[Column],
    chunks: Iterable[NDArray[np.float32]],
    *,
    events: int,
    spillover: tuple[Sequence[str], NDArray[np.float64]] | None = None,
    keywords: Sequence[tuple[str, str]] = (),
) -> None:
    """Write one data set; beyond 99,999,999 bytes the HEADER's DATA offsets are 0, as the standard asks.

    Parameters
    ----------
    path
        Replaced atomically.
    columns
        Parameters in order.
    chunks
        Events in order, each float32 of shape (some events, len(columns)).
    events
        How many events the chunks hold together.
    spillover
        Names and square matrix of $SPILLOVER.
    keywords
        More keyword and value pairs, without the standard's own.

    Raises
    ------
    ValueError
        If the chunks hold another number of events or columns, or a keyword or value is
        empty.
    """
    pairs = [*_standard(columns, events), *_spillover(spillover), *keywords]
    if not all(k and v for k, v in pairs):
        raise ValueError("a keyword or its value is empty")
    data_bytes = 4 * len(columns) * events
    text, begin, end = _laid_out(pairs, data_bytes)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(_header(len(text), begin, end) + text)
        written = 0
        for chunk in chunks:
            if chunk.ndim != 2 or chunk.shape[1] != len(columns):
                raise ValueError(f"a chunk must have {len(columns)} columns")
            written += len(chunk)
            file.write(np.ascontiguousarray(chunk, "<f4").data)
        if written != events:
            raise ValueError(f"{events} events were announced, {written} given")


def _standard(columns: Sequence[Column], events: int) -> list[tuple[str, str]]:
    pairs = [
        ("$BEGINANALYSIS", "0"),
        ("$ENDANALYSIS", "0"),
        ("$BEGINSTEXT", "0"),
        ("$ENDSTEXT", "0"),
        ("$BYTEORD", "1,2,3,4"),
        ("$DATATYPE", "F"),
        ("$MODE", "L"),
        ("$NEXTDATA", "0"),
        ("$PAR", str(len(columns))),
        ("$TOT", str(events)),
    ]
    for number, column in enumerate(columns, start=1):
        pairs += [
            (f"$P{number}B", "32"),
            (f"$P{number}E", "0,0"),
            (f"$P{number}N", column.name),
            (f"$P{number}R", str(column.range)),
        ]
        pairs += [(f"$P{number}S", column.stain)] if column.stain else []
    return pairs


def _spillover(spillover: tuple[Sequence[str], NDArray[np.float64]] | None) -> list[tuple[str, str]]:
    if spillover is None:
        return []
    names, matrix = spillover
    values = [f"{v:.6g}" for v in matrix.ravel()]
    return [("$SPILLOVER", ",".join([str(len(names)), *names, *values]))]


def _laid_out(pairs: Sequence[tuple[str, str]], data_bytes: int) -> tuple[bytes, int, int]:
    """TEXT, first and last byte of DATA; the offsets are padded so that they fit at once."""
    begin, end = 0, 0
    text = b""
    for _ in range(2):
        offsets = [("$BEGINDATA", f"{begin:020d}"), ("$ENDDATA", f"{end:020d}")]
        words = [w.replace(_DELIMITER, _DELIMITER * 2) for pair in (*offsets, *pairs) for w in pair]
        text = (_DELIMITER + _DELIMITER.join(words) + _DELIMITER).encode("utf-8")
        begin = _TEXT_BEGINS + len(text)
        end = begin + data_bytes - 1 if data_bytes else begin
    return text, begin, end


def _header(text_bytes: int, begin: int, end: int) -> bytes:
    data = (begin, end) if end <= _LARGEST_HEADER_OFFSET else (0, 0)
    offsets = (_TEXT_BEGINS, _TEXT_BEGINS + text_bytes - 1, *data, 0, 0)
    header = "FCS3.1    " + "".join(f"{o:8d}" for o in offsets)
    return header.ljust(_TEXT_BEGINS).encode("ascii")
