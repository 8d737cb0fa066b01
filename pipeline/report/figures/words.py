"""Words of the figures, by language; the SVG keeps them as text, which the reader's fonts draw."""

import tomllib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files

from pipeline.errors import printable
from pipeline.report.figure_style import house_style

__all__ = ["LANGUAGES", "figure_words", "named", "phase_name", "worded_style"]

LANGUAGES = ("en", "ja")
_NAME_LENGTH = 40
_ABBREVIATION = 5


def figure_words(language: str = "en") -> Mapping[str, str]:
    """Every word of the figures by its key; what stands in braces is filled in.

    Raises
    ------
    ValueError
        If the language is none of `LANGUAGES`.
    """
    if language not in LANGUAGES:
        raise ValueError(f"figures speak {' and '.join(LANGUAGES)}")
    source = files("pipeline.report") / "templates" / f"figures_{language}.toml"
    words: dict[str, str] = tomllib.loads(source.read_text(encoding="utf-8"))
    return words


def named(name: str) -> str:
    """A name from the data as a figure shows it: without control characters, not too long."""
    shown = printable(name)
    return shown if len(shown) <= _NAME_LENGTH else shown[: _NAME_LENGTH - 1] + "…"


def phase_name(phase: str) -> str:
    """A phase of treatment, which tables write in capitals; abbreviations stay so.

    >>> phase_name("INDUCTION"), phase_name("ASCT")
    ('Induction', 'ASCT')
    """
    shown = named(phase)
    return shown if len(shown) <= _ABBREVIATION else shown.capitalize()


@contextmanager
def worded_style() -> Iterator[None]:
    """The house style, in which words may have letters that matplotlib's own font lacks.

    The SVG holds text, which the reader's fonts draw; here its width is measured only.
    """
    with house_style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
