"""Templates people write as TOML, checked by a pydantic model: one reading, one form of refusal."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline.errors import ConfigRefused, printable
from pipeline.formats.toml_tables import read_toml

if TYPE_CHECKING:
    from pydantic import BaseModel

Model = TypeVar("Model", bound="BaseModel")

__all__ = ["read_model"]


def read_model(
    path: Path, model: type[Model], *, remedy: str, shown_key: Callable[[str], str] = str
) -> Model:
    """Read a TOML file as a model; arrays become tuples, which strict models ask for.

    Parameters
    ----------
    path
        The file.
    model
        What it must hold.
    remedy
        Where to find every key.
    shown_key
        The key of a problem as it may be repeated: parts of it can be people's text.

    Raises
    ------
    ConfigRefused
        If the file cannot be read, is no TOML, or has an unknown key or a wrong value; the
        first such key is named, its value is not repeated.
    """
    from pydantic import ValidationError

    values, _ = read_toml(path)
    try:
        return model.model_validate(_tupled(values))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = printable(shown_key(".".join(str(part) for part in first["loc"])))
        unknown = first["type"] == "extra_forbidden"
        what = "unknown key" if unknown else printable(first["msg"]).removeprefix("Value error, ")
        raise ConfigRefused(what, path=path, column=key or None, remedy=remedy) from error


def _tupled(value: object) -> object:
    if isinstance(value, dict):
        return {k: _tupled(v) for k, v in value.items()}
    if isinstance(value, list):
        return tuple(_tupled(v) for v in value)
    return value
