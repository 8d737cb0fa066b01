"""HEADER and TEXT of one FCS data set, and what is wrong with them.

FCS 2.0 to 3.2: the HEADER is 58 bytes (version, then the first and last byte of TEXT,
DATA and ANALYSIS as right-justified decimals); TEXT is a list of keyword and value
whose first byte is the delimiter and in which a doubled delimiter stands for itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from mrd_flow.fcs.anomaly import Anomaly
from pipeline.errors import DamagedFile, printable

__all__ = ["Header", "integer_keyword", "read_header", "read_keywords"]

_HEADER_BYTES = 58
_VERSION = re.compile(rb"FCS(\d\.\d)")
_WHOLE = re.compile(r"0*\d{1,18}")
_LARGEST_TEXT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """First and last byte of TEXT and DATA, counted from the start of the data set.

    ``data`` is None where the HEADER gives no usable offsets (blank, or zero for a
    file beyond 99,999,999 bytes).
    """

    version: str
    text: tuple[int, int]
    data: tuple[int, int] | None


def read_header(file: BinaryIO, start: int) -> Header:
    """Read the HEADER of the data set that begins at byte ``start``.

    Raises
    ------
    DamagedFile
        If the bytes are not those of an FCS header, or TEXT cannot be located.
    """
    file.seek(start)
    raw = file.read(_HEADER_BYTES)
    found = _VERSION.match(raw)
    if not raw:
        raise DamagedFile("the file is empty", expected="an FCS file")
    if found is None:
        raise DamagedFile(
            "not an FCS file: it does not begin with 'FCS' and a version", expected="FCS2.0-3.2"
        )
    if len(raw) < _HEADER_BYTES:
        raise DamagedFile(f"the HEADER is cut off after {len(raw)} of {_HEADER_BYTES} bytes")
    offsets = [_offset(raw[i : i + 8]) for i in range(10, 42, 8)]
    if offsets[0] is None or offsets[1] is None or not 0 < offsets[0] < offsets[1]:
        raise DamagedFile("the HEADER does not say where TEXT begins and ends")
    data = (offsets[2], offsets[3])
    return Header(
        version=found.group(1).decode("ascii"),
        text=(offsets[0], offsets[1]),
        data=(data[0], data[1]) if data[0] and data[1] else None,
    )


def read_keywords(
    file: BinaryIO, start: int, header: Header, *, file_bytes: int
) -> tuple[dict[str, str], list[Anomaly]]:
    """Keywords of TEXT and supplemental TEXT, upper case, with the anomalies met.

    Returns
    -------
    tuple
        Keyword to value (values untrimmed), and what deviates from the standard.

    Raises
    ------
    DamagedFile
        If TEXT reaches beyond the file or holds no keywords.
    """
    anomalies: list[Anomaly] = []
    keywords = _segment(file, start, header.text, file_bytes, anomalies)
    extra = (integer_keyword(keywords, "$BEGINSTEXT"), integer_keyword(keywords, "$ENDSTEXT"))
    if extra[0] and extra[1] and extra != header.text:
        if start + extra[1] < file_bytes and extra[0] < extra[1]:
            for key, value in _segment(file, start, (extra[0], extra[1]), file_bytes, anomalies).items():
                keywords.setdefault(key, value)
        else:
            anomalies.append(
                Anomaly(code="supplemental_text", text="supplemental TEXT lies outside the file")
            )
    return keywords, anomalies


def integer_keyword(keywords: Mapping[str, str], key: str) -> int | None:
    """Value of a whole-number keyword, or None where it is absent or not a whole number.

    >>> integer_keyword({"$TOT": " 0012 ", "$PAR": "1e3"}, "$TOT"), integer_keyword({"$PAR": "1e3"}, "$PAR")
    (12, None)
    """
    text = keywords.get(key, "").strip()
    return int(text) if text.isascii() and _WHOLE.fullmatch(text) else None


def _offset(raw: bytes) -> int | None:
    text = raw.decode("latin-1").strip()
    return int(text) if text.isascii() and _WHOLE.fullmatch(text) else None


def _segment(
    file: BinaryIO, start: int, span: tuple[int, int], file_bytes: int, anomalies: list[Anomaly]
) -> dict[str, str]:
    first, last = span
    if start + last >= file_bytes:
        raise DamagedFile(f"TEXT ends at byte {start + last}, the file at {file_bytes}: it is cut off")
    if last - first > _LARGEST_TEXT_BYTES:
        raise DamagedFile(f"TEXT claims {last - first + 1} bytes; no FCS file needs that many")
    file.seek(start + first)
    text = _decoded(file.read(last - first + 1), anomalies)
    return _pairs(text, anomalies)


def _decoded(raw: bytes, anomalies: list[Anomaly]) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        anomalies.append(Anomaly(code="text_not_utf8", text="TEXT is not UTF-8; read as Latin-1"))
        return raw.decode("latin-1")


def _pairs(text: str, anomalies: list[Anomaly]) -> dict[str, str]:
    delimiter = text[0]
    body = text[1:].rstrip("\0 \r\n" if delimiter not in "\0 \r\n" else "")
    words = _words(body, delimiter, escaped=True)
    # An empty value also looks like an escaped delimiter. The standard forbids it, files
    # have it; the plain reading is taken where the standard's loses $-keywords to it.
    plain = _words(body, delimiter, escaped=False)
    if _standard_keys(plain) > _standard_keys(words):
        words = plain
        anomalies.append(Anomaly(code="empty_values", text="TEXT has empty keyword values"))
    if len(words) < 2:
        raise DamagedFile("TEXT holds no keywords")
    if len(words) % 2:
        anomalies.append(Anomaly(code="odd_keywords", text="TEXT ends in a keyword without a value"))
    pairs: dict[str, str] = {}
    for key, value in zip(words[::2], words[1::2], strict=False):
        name = key.strip().upper()
        if name in pairs and pairs[name] != value:
            shown = printable(name)[:40]
            anomalies.append(
                Anomaly(code="duplicate_keyword", text=f"keyword {shown} is given twice; the first is used")
            )
        pairs.setdefault(name, value)
    return pairs


def _words(body: str, delimiter: str, *, escaped: bool) -> list[str]:
    if not escaped:
        words = body.split(delimiter)
    else:
        mark = "\ue000"  # private use: stands for an escaped delimiter while splitting
        words = [w.replace(mark, delimiter) for w in body.replace(delimiter * 2, mark).split(delimiter)]
    return words[:-1] if words and words[-1] == "" else words


def _standard_keys(words: list[str]) -> int:
    return sum(w.startswith("$") for w in words[::2])
