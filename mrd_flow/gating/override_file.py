"""The file of overrides: TOML that is read whole and only ever appended to."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mrd_flow.gating.overrides import CHAIN_START, Override, digest_of
from pipeline.errors import ConfigRefused
from pipeline.formats.atomic import write_bytes
from pipeline.formats.toml_tables import is_number, read_toml

__all__ = ["append_override", "read_overrides"]

_LARGEST_FILE_BYTES = 1 << 20
_KEYS = (
    "tube", "gate", "dimension", "min", "max", "vertices", "author", "reason", "made_on", "before",
)  # fmt: skip
_NEEDED = ("tube", "gate", "author", "reason", "made_on")


def read_overrides(path: Path) -> tuple[Override, ...]:
    """The overrides of a file, in its order.

    The file holds ``[[overrides]]`` tables with the fields of `Override`; ``made_on`` is a
    TOML date and time or the same as text. ``before`` may be left out by whoever writes
    by hand; where it stands it must be the digest of the entry before.

    Raises
    ------
    ConfigRefused
        If the file cannot be read, an entry has an unknown key or an impossible value, or
        an entry before another was changed.
    """
    if path.is_file() and path.stat().st_size > _LARGEST_FILE_BYTES:
        raise ConfigRefused(f"is larger than {_LARGEST_FILE_BYTES} bytes: no file of overrides", path=path)
    values, _ = read_toml(path)
    entries = values.get("overrides", [])
    if set(values) - {"overrides"} or not isinstance(entries, list):
        raise ConfigRefused("holds something else than [[overrides]] tables", path=path)
    found: list[Override] = []
    for number, entry in enumerate(entries, start=1):
        override = _entry(entry, number, path)
        if override.before and override.before != _digest_of_last(found):
            raise ConfigRefused(
                f"entry {number} does not follow from the one before: an earlier entry was changed",
                path=path,
                remedy="overrides are only appended; restore the earlier entries and add a new one",
            )
        found.append(override)
    return tuple(found)


def append_override(path: Path, override: Override) -> Override:
    """Add one override to a file, which is made where there is none.

    Returns
    -------
    Override
        As written: ``before`` is the digest of the entry before.

    Raises
    ------
    ConfigRefused
        As `read_overrides`; nothing is written then.
    """
    earlier = read_overrides(path) if path.exists() else ()
    chained = replace(override, before=_digest_of_last(earlier))
    old = path.read_bytes() if path.exists() else b""
    gap = b"" if not old else b"\n" if old.endswith(b"\n") else b"\n\n"
    write_bytes(path, old + gap + _toml(chained).encode())
    return chained


def _digest_of_last(entries: Sequence[Override]) -> str:
    return digest_of(entries[-1]) if entries else CHAIN_START


def _toml(override: Override) -> str:
    lines = ["[[overrides]]"]
    for key in _KEYS:
        value = getattr(override, key)
        if key == "made_on":
            lines.append(f"made_on = {value.isoformat()}")
        elif key == "vertices" and value:
            lines.append(f"vertices = [{', '.join(f'[{x!r}, {y!r}]' for x, y in value)}]")
        elif isinstance(value, str) and value:
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
        elif is_number(value):
            lines.append(f"{key} = {value!r}")
    return "\n".join(lines) + "\n"


def _entry(entry: object, number: int, path: Path) -> Override:
    if not isinstance(entry, dict):
        raise ConfigRefused(f"entry {number} is no table", path=path)
    unknown, missing = set(entry) - set(_KEYS), [k for k in _NEEDED if k not in entry]
    if unknown or missing:
        what = f"lacks {', '.join(missing)}" if missing else "has an unknown key"
        raise ConfigRefused(f"entry {number} {what}", path=path, expected=", ".join(_KEYS))
    try:
        return Override(**{k: _value(k, v) for k, v in entry.items()})
    except ValueError as error:
        raise ConfigRefused(f"entry {number}: {error}", path=path) from error


def _value(key: str, value: Any) -> Any:
    """A TOML value as the field's type."""
    if key == "tube" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if key in ("min", "max") and is_number(value):
        return float(value)
    if key == "made_on":
        return _time(value)
    if key == "vertices" and isinstance(value, list) and all(_is_point(p) for p in value):
        return tuple((float(x), float(y)) for x, y in value)
    if key not in ("tube", "min", "max", "vertices") and isinstance(value, str):
        return value
    raise ValueError(f"{key} has a value of the wrong kind")


def _is_point(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(is_number(v) for v in value)


def _time(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and len(value) <= 40:
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError("made_on must be a date and time, such as 2026-03-01T09:30:00")
