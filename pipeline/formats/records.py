"""Result dataclasses as JSON objects and as Parquet tables: the dataclass is the schema."""

import dataclasses
import types
import typing
from collections.abc import Sequence
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from pipeline.errors import DamagedFile
from pipeline.formats.atomic import replacing

if typing.TYPE_CHECKING:
    import pyarrow as pa

T = typing.TypeVar("T")

__all__ = ["from_json", "read_parquet", "to_json", "write_parquet"]


def to_json(record: Any) -> dict[str, Any]:
    """A result dataclass as a JSON object: enums as their values, dates as ISO text, tuples as lists."""
    return {f.name: _plain(getattr(record, f.name)) for f in dataclasses.fields(record)}


def from_json(record_type: type[T], value: dict[str, Any], *, path: Path | str | None = None) -> T:
    """The inverse of `to_json`; unknown or missing keys and impossible values are refused.

    Raises
    ------
    DamagedFile
        If ``value`` is not a record of ``record_type``.
    """
    hints = typing.get_type_hints(record_type)
    names = {f.name for f in dataclasses.fields(record_type)}  # type: ignore[arg-type]
    if set(value) - names:
        raise DamagedFile(f"unknown keys in a {record_type.__name__} record", path=path)
    try:
        return record_type(**{name: _typed(hints[name], v) for name, v in value.items()})
    except (TypeError, ValueError) as error:
        raise DamagedFile(f"not a {record_type.__name__} record: {error}", path=path) from error


def write_parquet(path: Path, record_type: type[T], records: Sequence[T]) -> None:
    """Write records as one Parquet table whose columns are the dataclass's fields.

    Same records, same bytes: rows in the order given, no time stamp, one row group.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(record_type)
    columns = {name: [_cell(getattr(r, name)) for r in records] for name in schema.names}
    table = pa.table(columns, schema=schema)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=max(1, len(records)))


def read_parquet(path: Path, record_type: type[T]) -> list[T]:
    """Read what `write_parquet` wrote.

    Raises
    ------
    DamagedFile
        If the file is no Parquet file or its columns are not those of ``record_type``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(f"not a readable Parquet table ({error})", path=path) from error
    return [from_json(record_type, row, path=path) for row in rows]


def _schema(record_type: type) -> "pa.Schema":
    import pyarrow as pa

    hints = typing.get_type_hints(record_type)
    return pa.schema(
        [
            pa.field(f.name, _arrow_type(hints[f.name]), nullable=_is_optional(hints[f.name]))
            for f in dataclasses.fields(record_type)
        ]
    )


def _arrow_type(hint: Any) -> Any:
    import pyarrow as pa

    bare = _bare(hint)
    if isinstance(bare, type) and issubclass(bare, Enum):
        return pa.string()
    if bare is datetime:
        return pa.timestamp("us", tz="UTC")
    known = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), date: pa.date32()}
    return known[bare]


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_json(value)
    return value


def _cell(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _typed(hint: Any, value: Any) -> Any:
    if value is None:
        if _is_optional(hint):
            return None
        raise ValueError("a value is missing")
    bare = _bare(hint)
    if bare is datetime:
        return value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if bare is date:
        return value if isinstance(value, date) else date.fromisoformat(value)
    if bare is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(bare, type) and issubclass(bare, Enum | Path):
        return bare(value)
    if typing.get_origin(bare) is tuple:
        item = typing.get_args(bare)[0]
        return tuple(_typed(item, v) for v in value)
    if isinstance(bare, type) and not isinstance(value, bare):
        raise ValueError(f"expected {bare.__name__}, found {type(value).__name__}")
    return value


def _bare(hint: Any) -> Any:
    """The type behind ``X | None``."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        (bare,) = (a for a in typing.get_args(hint) if a is not type(None))
        return bare
    return hint


def _is_optional(hint: Any) -> bool:
    return isinstance(hint, types.UnionType) and type(None) in typing.get_args(hint)
