"""Configuration files that ship with nadir (the repository's ``configs/``)."""

import re
from importlib.resources import files
from pathlib import Path

from pipeline.errors import UsageError

__all__ = ["shipped_config", "shipped_names"]

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
