"""Parameters of a data set and how one event lies in its bytes."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrd_flow.fcs.anomaly import Anomaly
from mrd_flow.fcs.keywords import integer_keyword
from pipeline.errors import DamagedFile, InputRefused, printable

__all__ = ["Parameter", "RecordLayout", "parameters_of", "record_layout"]

_MOST_PARAMETERS = 10_000
_FLOAT_BITS = {"F": 32, "D": 64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One column of the events.

    ``name`` is $PnN, ``stain`` $PnS (empty where absent), ``bits`` $PnB, ``range`` $PnR,
    ``decades`` and ``log_zero`` $PnE (0 decades: linear), ``gain`` $PnG (1: none),
    ``kind`` the data type I, F or D of this parameter.
    """

    name: str
    stain: str
    kind: str
    bits: int
    range: float
    decades: float
    log_zero: float
    gain: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLayout:
    """Byte layout of one event: ``event_bytes`` in all, ``order`` permutes a word's bytes."""

    parameters: tuple[Parameter, ...]
    event_bytes: int
    byte_order: tuple[int, ...]

    def decode(self, raw: NDArray[np.uint8], columns: tuple[int, ...]) -> NDArray[np.float32]:
        """Stored values of ``columns``, scaled by amplification and gain.

        Parameters
        ----------
        raw
            Bytes of whole events, shape (n_events * event_bytes,).
        columns
            0-based parameters wanted, in the order wanted.

        Returns
        -------
        numpy.ndarray
            float32, shape (n_events, len(columns)). Integers beyond 2^24 and doubles
            are rounded to it.
        """
        return np.column_stack([self._scaled(c, p).astype(np.float32) for c, p in self._stored(raw, columns)])

    def decode_double(self, raw: NDArray[np.uint8], columns: tuple[int, ...]) -> NDArray[np.float64]:
        """As `decode`, in double precision: no integer below 2^53 is rounded."""
        return np.column_stack([self._scaled(c, p).astype(np.float64) for c, p in self._stored(raw, columns)])

    def plain_view(self, raw: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """The bytes themselves as float32 of shape (n_events, n_parameters), or None.

        Only where every parameter is an unscaled float32 in this machine's byte order.
        """
        unscaled = all(p.kind == "F" and p.gain in (0.0, 1.0) for p in self.parameters)
        kind = self._uniform() if unscaled else None
        return raw.view(np.float32).reshape(-1, len(self.parameters)) if kind == np.float32 else None

    def _stored(
        self, raw: NDArray[np.uint8], columns: tuple[int, ...]
    ) -> Iterator[tuple[NDArray[Any], Parameter]]:
        fast = self._uniform()
        if fast is not None:
            table = raw.view(fast).reshape(-1, len(self.parameters))
            yield from ((table[:, c], self.parameters[c]) for c in columns)
            return
        rows = raw.reshape(-1, self.event_bytes)
        starts = np.concatenate(([0], np.cumsum([p.bits // 8 for p in self.parameters])))
        yield from ((self._word(rows, int(starts[c]), c), self.parameters[c]) for c in columns)

    def _uniform(self) -> np.dtype[Any] | None:
        """One numpy type for all, where words are whole and bytes run up or down."""
        first = self.parameters[0]
        size = first.bits // 8
        if any((p.kind, p.bits) != (first.kind, first.bits) for p in self.parameters):
            return None
        if (first.kind == "I" and size not in (1, 2, 4, 8)) or not self.monotone:
            return None
        return np.dtype(f"{'>' if self._big_endian() else '<'}{'u' if first.kind == 'I' else 'f'}{size}")

    def _big_endian(self) -> bool:
        return len(self.byte_order) > 1 and self.byte_order[0] > self.byte_order[-1]

    @property
    def monotone(self) -> bool:
        """Whether a word's bytes run up or down."""
        return list(self.byte_order) in (sorted(self.byte_order), sorted(self.byte_order, reverse=True))

    def _word(self, rows: NDArray[np.uint8], start: int, column: int) -> NDArray[Any]:
        """One parameter of odd width or byte order, through little-endian words."""
        parameter = self.parameters[column]
        size = parameter.bits // 8
        word = rows[:, start : start + size]
        if len(self.byte_order) == size:
            word = word[:, np.argsort(self.byte_order)]
        elif self._big_endian():
            word = word[:, ::-1]
        if parameter.kind != "I":
            return np.ascontiguousarray(word).view(f"<f{size}")[:, 0]
        wide = np.zeros((len(word), 8), np.uint8)
        wide[:, :size] = word
        return wide.view("<u8")[:, 0]

    @staticmethod
    def _scaled(stored: NDArray[Any], parameter: Parameter) -> NDArray[Any]:
        values = stored
        if parameter.kind == "I":
            top = math.ceil(math.log2(parameter.range)) if parameter.range > 1 else parameter.bits
            if top < parameter.bits:  # bits above the range are not data (FCS 3.1, 3.2.20)
                values = values & values.dtype.type(2**top - 1)
            if parameter.decades > 0:
                decades = parameter.decades * values.astype(np.float64) / parameter.range
                return np.asarray(parameter.log_zero * 10**decades)
        if parameter.gain not in (0.0, 1.0):
            return np.asarray(values / parameter.gain)
        return values


def parameters_of(keywords: Mapping[str, str]) -> tuple[tuple[Parameter, ...], list[Anomaly]]:
    """Parameters in order, with the anomalies met.

    Raises
    ------
    InputRefused
        If the data type is one nadir does not read.
    DamagedFile
        If a required keyword is missing or makes no sense.
    """
    count = integer_keyword(keywords, "$PAR")
    if not count or count > _MOST_PARAMETERS:
        raise DamagedFile(f"$PAR is not a number of parameters from 1 to {_MOST_PARAMETERS}")
    overall = keywords.get("$DATATYPE", "").strip().upper()
    if keywords.get("$MODE", "L").strip().upper() not in ("L", ""):
        raise InputRefused("the data are histograms ($MODE is not L)", expected="list mode")
    anomalies: list[Anomaly] = []
    found = tuple(_parameter(keywords, i, overall, anomalies) for i in range(1, count + 1))
    names = [p.name for p in found]
    repeated = sorted({n for n in names if names.count(n) > 1})
    anomalies += [
        Anomaly(code="duplicate_parameter", text=f"several parameters are named '{printable(name)[:40]}'")
        for name in repeated
    ]
    return found, anomalies


def record_layout(keywords: Mapping[str, str], parameters: tuple[Parameter, ...]) -> RecordLayout:
    """Byte layout of an event.

    Raises
    ------
    InputRefused
        If a parameter's width is not a whole number of bytes.
    DamagedFile
        If $BYTEORD is missing or makes no sense.
    """
    for number, parameter in enumerate(parameters, start=1):
        if parameter.bits % 8 or not 8 <= parameter.bits <= 64:
            raise InputRefused(
                f"parameter {number} is {parameter.bits} bits wide",
                column=f"$P{number}B",
                expected="whole bytes, 8 to 64 bits",
                remedy="export the file again as 32-bit floating point",
            )
    text = keywords.get("$BYTEORD", "").replace(" ", "")
    order = tuple(int(d) for d in text.split(",")) if re.fullmatch(r"[1-8](,[1-8]){0,7}", text) else ()
    if sorted(order) != list(range(1, len(order) + 1)) or not order:
        raise DamagedFile("$BYTEORD is missing or is no order of bytes", expected="1,2,3,4 or 4,3,2,1")
    layout = RecordLayout(
        parameters=parameters, event_bytes=sum(p.bits for p in parameters) // 8, byte_order=order
    )
    if not layout.monotone and any(p.bits not in (8, 8 * len(order)) for p in parameters):
        raise InputRefused(
            "$BYTEORD mixes the bytes of words that are not all as long as it",
            column="$BYTEORD",
            expected="1,2,3,4 or 4,3,2,1 where parameters differ in width",
        )
    return layout


def _parameter(keywords: Mapping[str, str], number: int, overall: str, anomalies: list[Anomaly]) -> Parameter:
    kind = keywords.get(f"$P{number}DATATYPE", overall).strip().upper()
    if kind not in ("I", "F", "D"):
        raise InputRefused(
            f"data type {printable(kind)[:8]!r} is not read",
            column="$DATATYPE",
            expected="I (integer), F (float) or D (double)",
            remedy="export the file again as 32-bit floating point",
        )
    bits = integer_keyword(keywords, f"$P{number}B")
    if bits is None:
        raise DamagedFile(f"$P{number}B is missing or no whole number")
    if kind != "I" and bits != _FLOAT_BITS[kind]:
        raise DamagedFile(f"$P{number}B is {bits} where data type {kind} has {_FLOAT_BITS[kind]} bits")
    if f"$P{number}N" not in keywords:
        anomalies.append(Anomaly(code="parameter_unnamed", text=f"parameter {number} has no $P{number}N"))
    decades, log_zero = _amplification(keywords, number, anomalies)
    name = keywords.get(f"$P{number}N", f"P{number}").strip()
    gain = _number(keywords, f"$P{number}G", 1.0, anomalies)
    top = _number(keywords, f"$P{number}R", 0.0, anomalies)
    if kind == "I" and decades > 0 and top == 0:
        text = f"parameter {number} is logarithmic without a usable $P{number}R; read as linear"
        anomalies.append(Anomaly(code="amplification", text=text, grave=True))
        decades = 0.0
    return Parameter(
        name=name,
        stain=keywords.get(f"$P{number}S", "").strip(),
        kind=kind,
        bits=bits,
        range=top,
        decades=decades if kind == "I" else 0.0,
        log_zero=log_zero,
        # Makers copy a detector's gain to the clock, which has no amplifier.
        gain=1.0 if name.lower() == "time" else gain,
    )


def _amplification(keywords: Mapping[str, str], number: int, anomalies: list[Anomaly]) -> tuple[float, float]:
    parts = keywords.get(f"$P{number}E", "0,0").split(",")
    values = [_finite(p) for p in parts]
    if len(values) != 2 or values[0] is None or values[1] is None or min(values[0], values[1]) < 0:
        anomalies.append(
            Anomaly(code="amplification", text=f"$P{number}E is not two numbers; read as linear", grave=True)
        )
        return 0.0, 0.0
    # The standard forbids "decades,0" and says to read the zero as 1.
    return values[0], values[1] or 1.0


def _number(keywords: Mapping[str, str], key: str, absent: float, anomalies: list[Anomaly]) -> float:
    if key not in keywords:
        return absent
    value = _finite(keywords[key])
    if value is None or value < 0:
        anomalies.append(Anomaly(code="not_a_number", text=f"{key} is not a number; {absent:g} is used"))
        return absent
    return value


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
