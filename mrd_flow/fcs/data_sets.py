"""FCS 2.0 to 3.2 and LMD files: event tables read in chunks, with every deviation kept.

One path reads them all, by offsets checked against $TOT and the file's own length, so
that what FlowIO refuses (24-bit integers, offsets that disagree, blank HEADER) is read
by the same code as what it accepts; the tests compare both on every file FlowIO reads.

Not read: histograms, ASCII data, parameters that are not whole bytes wide. $CRC is not
checked. ANALYSIS is ignored.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from mrd_flow.fcs.anomaly import Anomaly
from mrd_flow.fcs.compensation import Spillover, spillover_of, transposed
from mrd_flow.fcs.keywords import Header, integer_keyword, read_header, read_keywords
from mrd_flow.fcs.layout import Parameter, RecordLayout, parameters_of, record_layout
from pipeline.errors import DamagedFile, InputRefused

__all__ = ["DEFAULT_CHUNK_EVENTS", "DataSet", "check_file", "read_data_sets"]

DEFAULT_CHUNK_EVENTS = 1 << 17
_MOST_DATA_SETS = 1000
_EVENTS_LOOKED_AT = 20_000  # for the direction of the spillover matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """One event table of a file; its events stay on disk until asked for.

    ``first_byte`` is where the first event begins in the file. ``spillover`` is None
    where the file states none.
    """

    path: Path
    version: str
    keywords: dict[str, str]
    layout: RecordLayout
    events: int
    first_byte: int
    spillover: Spillover | None
    anomalies: tuple[Anomaly, ...]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The columns, in order."""
        return self.layout.parameters

    @property
    def time_step(self) -> float | None:
        """Seconds per tick ($TIMESTEP); None where the file states no number above 0."""
        return _time_step(self.keywords)

    @property
    def spillover_stated(self) -> bool:
        """Whether the file states a matrix, be it one that can be used or not."""
        return all(a.code != "spillover_missing" for a in self.anomalies)

    def chunks(
        self, columns: tuple[int, ...] | None = None, *, events: int = DEFAULT_CHUNK_EVENTS
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the events in order, at most ``events`` at a time.

        Parameters
        ----------
        columns
            0-based parameters wanted; None for all.
        events
            Rows per chunk, >= 1; it bounds the memory, not the result.

        Yields
        ------
        numpy.ndarray
            float32, shape (at most ``events``, number of columns), linearised by $PnE
            and $PnG; time in the file's own ticks.

        Raises
        ------
        DamagedFile
            If the file became shorter since it was opened.
        """
        wanted = tuple(range(len(self.parameters))) if columns is None else columns
        for raw in self._raw(events):
            yield self.layout.decode(raw, wanted)

    def precise_chunks(
        self, columns: tuple[int, ...], *, events: int = DEFAULT_CHUNK_EVENTS
    ) -> Iterator[tuple[NDArray[np.float32] | NDArray[np.float64], tuple[int, ...]]]:
        """As `chunks`, without rounding and without a copy where the file allows it.

        Yields
        ------
        tuple
            Events, shape (at most ``events``, some columns), and which of their columns
            the wanted ones are. A file of plain float32 gives its own bytes, all
            columns; any other float64, the wanted ones.
        """
        for raw in self._raw(events):
            plain = self.layout.plain_view(raw)
            if plain is not None:
                yield plain, columns
            else:
                yield self.layout.decode_double(raw, columns), tuple(range(len(columns)))

    def _raw(self, events: int) -> Iterator[NDArray[np.uint8]]:
        size = self.layout.event_bytes
        with self.path.open("rb") as file:
            file.seek(self.first_byte)
            for begin in range(0, self.events, events):
                rows = min(events, self.events - begin)
                raw = np.fromfile(file, np.uint8, rows * size)
                if len(raw) != rows * size:
                    raise DamagedFile("the file became shorter while it was read", path=self.path)
                yield raw

    def table(self, columns: tuple[int, ...] | None = None) -> NDArray[np.float32]:
        """All events at once, float32, shape (events, number of columns)."""
        width = len(self.parameters) if columns is None else len(columns)
        parts = list(self.chunks(columns))
        return np.concatenate(parts) if parts else np.empty((0, width), np.float32)


def read_data_sets(path: Path) -> tuple[DataSet, ...]:
    """Open every data set of a file; events are not read yet.

    A data set after the first that cannot be opened becomes an anomaly of the first.

    Raises
    ------
    DamagedFile
        If the file is empty, cut off, not FCS, or contradicts itself beyond reading.
    InputRefused
        If it cannot be opened, or holds what nadir does not read.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _data_sets(path, file)
    except OSError as error:
        raise InputRefused(f"cannot be read ({error.strerror})", path=path) from error
    except InputRefused as error:
        if error.path is not None:
            raise
        raise type(error)(
            error.what, path=path, column=error.column, expected=error.expected, remedy=error.remedy
        ) from error


def check_file(path: Path) -> None:
    """Refuse a file whose events could not be read, without reading them.

    Raises
    ------
    DamagedFile, InputRefused
        As `read_data_sets`.
    """
    read_data_sets(path)


def _data_sets(path: Path, file: BinaryIO) -> tuple[DataSet, ...]:
    file_bytes = path.stat().st_size
    start, following = 0, 0
    found: list[DataSet] = []
    while len(found) < _MOST_DATA_SETS:
        try:
            data_set, following = _data_set(path, file, start, file_bytes)
        except InputRefused as error:
            if not found:
                raise
            return _with_anomaly(found, f"the data set at byte {start} was not read: {error.what}")
        found.append(data_set)
        if following == 0:
            return tuple(found)
        if start + following >= file_bytes:
            return _with_anomaly(found, f"$NEXTDATA points to byte {start + following}, beyond the file")
        start += following
    return _with_anomaly(found, f"more than {_MOST_DATA_SETS} data sets; the rest was not read")


def _with_anomaly(found: list[DataSet], text: str) -> tuple[DataSet, ...]:
    first = found[0]
    noted = (*first.anomalies, Anomaly(code="next_data_set", text=text))
    return (replace(first, anomalies=noted), *found[1:])


def _data_set(path: Path, file: BinaryIO, start: int, file_bytes: int) -> tuple[DataSet, int]:
    header = read_header(file, start)
    keywords, anomalies = read_keywords(file, start, header, file_bytes=file_bytes)
    parameters, odd_parameters = parameters_of(keywords)
    layout = record_layout(keywords, parameters)
    following = integer_keyword(keywords, "$NEXTDATA") or 0
    available = min(file_bytes, start + following if following else file_bytes) - start
    first, events, odd_rows = _located(header, keywords, layout.event_bytes, available)
    spillover, odd_spillover = spillover_of(keywords, parameters)
    anomalies += odd_parameters + odd_rows + odd_spillover + _odd_time(keywords)
    data_set = DataSet(
        path=path,
        version=header.version,
        keywords=keywords,
        layout=layout,
        events=events,
        first_byte=start + first,
        spillover=spillover,
        anomalies=tuple(anomalies),
    )
    if spillover is not None and events:
        first_events = next(data_set.chunks(spillover.columns, events=_EVENTS_LOOKED_AT))
        turned = transposed(spillover, first_events)
        if turned is not None:
            data_set = replace(data_set, anomalies=(*data_set.anomalies, turned))
    return data_set, following


def _located(
    header: Header, keywords: dict[str, str], event_bytes: int, available: int
) -> tuple[int, int, list[Anomaly]]:
    """First byte of DATA and number of events, from HEADER, TEXT, $TOT and the file's length."""
    stated = integer_keyword(keywords, "$TOT")
    begin, end = integer_keyword(keywords, "$BEGINDATA"), integer_keyword(keywords, "$ENDDATA")
    text = (begin, end) if begin and end else None
    if stated == 0:
        return header.text[1] + 1, 0, [Anomaly(code="no_events", text="the file holds no events")]
    candidates = [("TEXT", text), ("HEADER", header.data)]
    if header.version == "2.0":
        candidates.reverse()
    spans = [(name, span) for name, span in candidates if span is not None and span[0] < span[1]]
    if not spans:
        raise DamagedFile("neither HEADER nor TEXT says where DATA begins and ends")
    whole = [
        (name, span)
        for name, span in spans
        if stated is not None and 0 <= span[1] - span[0] + 1 - stated * event_bytes <= 1
    ]
    name, span = (whole or spans)[0]
    anomalies = []
    unsure = len({s[0] for _, s in whole}) != 1  # not decided by $TOT
    if len({s for _, s in spans}) > 1:
        detail = ", ".join(f"{n} {s[0]}-{s[1]}" for n, s in sorted(spans))
        anomalies.append(
            Anomaly(code="offsets_disagree", text=f"DATA lies at {detail}; {name} is used", grave=unsure)
        )
    elif header.data is None and header.version != "2.0" and span[1] <= 99_999_999:
        anomalies.append(Anomaly(code="header_blank", text="the HEADER gives no DATA offsets; TEXT is used"))
    if header.version != "2.0" and text is None and any(keywords.get(k) for k in ("$BEGINDATA", "$ENDDATA")):
        note = "TEXT states DATA offsets that are not numbers above 0; the HEADER's are used"
        anomalies.append(Anomaly(code="text_offsets_unusable", text=note))
    events, odd = _counted(span, stated, event_bytes, available)
    return span[0], events, anomalies + odd


def _counted(
    span: tuple[int, int], stated: int | None, event_bytes: int, available: int
) -> tuple[int, list[Anomaly]]:
    length = span[1] - span[0] + 1
    needed = length if stated is None else min(length, stated * event_bytes)
    if span[0] + needed > available:
        raise DamagedFile(
            f"DATA needs {needed} bytes from byte {span[0]}, the file has {max(0, available - span[0])}: "
            "it is cut off"
        )
    rows, left = divmod(length, event_bytes)
    if stated is None:
        text = f"$TOT is missing; {rows} events are read from the length of DATA"
        return rows, [Anomaly(code="tot_missing", text=text, grave=True)]
    if stated > rows:
        raise DamagedFile(f"$TOT states {stated} events, DATA has room for {rows}")
    if stated < rows:
        text = f"$TOT states {stated} events, DATA holds {rows}; {stated} are read"
        return stated, [Anomaly(code="rows_beyond_tot", text=text, grave=True)]
    if left == 1:
        return rows, [Anomaly(code="data_end_off_by_one", text="DATA ends one byte too late")]
    if left:
        text = f"{left} bytes of DATA are left over after {rows} events"
        return rows, [Anomaly(code="bytes_left_over", text=text, grave=True)]
    return rows, []


def _odd_time(keywords: dict[str, str]) -> list[Anomaly]:
    if "$TIMESTEP" not in keywords or _time_step(keywords) is not None:
        return []
    return [Anomaly(code="timestep", text="$TIMESTEP is not a number above 0; time stays in ticks")]


def _time_step(keywords: dict[str, str]) -> float | None:
    try:
        step = float(keywords.get("$TIMESTEP", ""))
    except ValueError:
        return None
    return step if math.isfinite(step) and step > 0 else None
