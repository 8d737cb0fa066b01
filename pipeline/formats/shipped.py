"""Configuration files that ship with nadir (the repository's ``configs/``)."""

import re
from importlib.resources import files
from pathlib import Path

from pipeline.errors import UsageError

__all__ = ["shipped_config", "shipped_names", "shipped_or_own"]

_PACKAGE = "nadir_configs"  # ./configs in a checkout, mapped by pyproject.toml
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def shipped_names(folder: str = "") -> tuple[str, ...]:
    """Names, without ``.toml``, of the configurations that ship in ``folder``."""
    root = Path(str(files(_PACKAGE))) / folder
    return tuple(sorted(p.stem for p in root.glob("*.toml")))


def shipped_config(name: str, folder: str = "") -> Path:
    """Path of a shipped configuration.

    Raises
    ------
    UsageError
        If none has that name; the message lists those there are.
    """
    if not _NAME.fullmatch(name) or name not in shipped_names(folder):
        raise UsageError(
            f"no shipped configuration of that name. There are: {', '.join(shipped_names(folder))}"
        )
    return Path(str(files(_PACKAGE))) / folder / f"{name}.toml"


def shipped_or_own(name_or_path: str | Path, folder: str, kind: str) -> Path:
    """Path of a shipped configuration by its name, or a TOML file of the user's own, which need not exist.

    Parameters
    ----------
    name_or_path
        A name without ``.toml``, or a path with it.
    folder
        Where those that ship stand.
    kind
        What they are, for the message.

    Raises
    ------
    UsageError
        If it is neither.
    """
    if str(name_or_path) in shipped_names(folder):
        return shipped_config(str(name_or_path), folder)
    path = Path(name_or_path)
    if path.suffix == ".toml":
        return path
    raise UsageError(
        f"no {kind} of that name. There are: {', '.join(shipped_names(folder))}; "
        "or give a file that ends in .toml"
    )
