"""TOML files as typed dataclasses: everything wrong with one is said at once, an unknown key is refused."""

import dataclasses
import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pipeline.errors import ConfigRefused, printable
from pipeline.formats.digest import sha256_bytes
from pipeline.model import is_identifier

__all__ = ["TableReader", "is_number", "read_settings", "read_toml"]

_Record = TypeVar("_Record")


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """The tables of a TOML file and the SHA-256 of its bytes.

    Raises
    ------
    ConfigRefused
        If it cannot be read or is no TOML (with line and column).
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigRefused(f"cannot be read ({error.strerror})", path=path) from error
    try:
        return tomllib.loads(raw.decode("utf-8-sig")), sha256_bytes(raw)
    except UnicodeDecodeError as error:
        raise ConfigRefused("is not UTF-8 text", path=path, remedy="save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(path, str(error), raw) from error


def read_settings(path: Path | None, table: str, record_type: type[_Record]) -> _Record:
    """One assay's run choices from its table in a study's configuration.

    Parameters
    ----------
    path
        A TOML file; None for the defaults. Its other tables are not looked at.
    table
        Name of the table; the defaults where the file has none.
    record_type
        The settings dataclass.

    Raises
    ------
    ConfigRefused
        As `read_toml`, and if a key is unknown or a value impossible; each is named.
    """
    if path is None:
        return record_type()
    reader = TableReader(path)
    settings = reader.record(record_type, reader.table(read_toml(path)[0], table), f"{table}.")
    reader.raise_if_refused()
    if not isinstance(settings, record_type):
        raise TypeError(f"{record_type.__name__} was neither read nor refused")
    return settings


class TableReader:
    """Collects everything wrong with one file, so that it is all said at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._causes: list[str] = []

    def refuse(self, key: str, cause: str) -> None:
        """Note what is wrong with a key."""
        self._causes.append(f"{printable(key)} {printable(cause)}")

    def raise_if_refused(self) -> None:
        """Refuse the file if anything was noted.

        Raises
        ------
        ConfigRefused
            With every cause.
        """
        if self._causes:
            raise ConfigRefused("; ".join(self._causes), path=self.path)

    def only(self, table: Mapping[str, Any], known: Sequence[str], prefix: str) -> None:
        """Refuse keys that are not known, with the nearest that is."""
        for key in table:
            if key not in known:
                near = get_close_matches(key, known, n=1)
                hint = f" (did you mean '{near[0]}'?)" if near else f" (known: {', '.join(known)})"
                self.refuse(f"{prefix}{key}", f"is not a known key{hint}")

    def table(self, tables: Mapping[str, Any], name: str) -> dict[str, Any]:
        """A table by its name; empty where there is none."""
        value = tables.get(name, {})
        if isinstance(value, dict):
            return value
        self.refuse(name, "must be a table")
        return {}

    def text(self, value: Any, key: str, *, identifier: bool = False) -> str:
        """Text, or an identifier; empty where it is refused."""
        if not isinstance(value, str):
            self.refuse(key, "must be text")
            return ""
        if identifier and not is_identifier(value):
            self.refuse(key, "must be 1 to 32 letters, digits, '-' or '_'")
        return value

    def record(self, record_type: type, table: Mapping[str, Any], prefix: str) -> Any:
        """A dataclass from a table; None where it is refused."""
        names = [f.name for f in dataclasses.fields(record_type)]
        self.only(table, names, prefix)
        hints = get_type_hints(record_type)
        before = len(self._causes)
        values = {k: self._value(hints[k], v, f"{prefix}{k}") for k, v in table.items() if k in names}
        if len(self._causes) > before:
            return None
        try:
            return record_type(**values)
        except ValueError as error:
            self.refuse(prefix.rstrip("."), f"is impossible: {error}")
            return None

    def _value(self, hint: Any, value: Any, key: str) -> Any:
        if hint is float and is_number(value):
            return float(value)
        if hint == Path | None and (value is None or isinstance(value, str)):
            return None if value is None else Path(value)
        if (
            isinstance(hint, type)
            and isinstance(value, hint)
            and (hint is bool or not isinstance(value, bool))
        ):
            return value
        self.refuse(key, f"must be {_WORDS.get(hint, 'text')}, not {type(value).__name__}")
        return None


_WORDS: dict[Any, str] = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}


def is_number(value: object) -> bool:
    """Whether a value is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _not_toml(path: Path, message: str, raw: bytes) -> ConfigRefused:
    """The refusal of a file with a syntax error, at its place."""
    # Python 3.11 to 3.13 state the place in the message only.
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    cause = printable(message[: place.start()] if place else message)
    line = int(place[1]) if place and place[1] else raw.count(b"\n") + 1
    remedy = None
    if "\\" in message or "escape" in message:
        remedy = "write paths with / or between single quotes"
    return ConfigRefused(
        f"is not TOML: {cause}",
        path=path,
        line=line,
        column=place[2] if place and place[2] else None,
        remedy=remedy,
    )
