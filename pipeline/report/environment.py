"""How pages are rendered: everything escaped, nothing that hides or turns text, one policy against scripts.

Shared by the report's pages, which stand alone, and by those of the review, which are served.
"""

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from pipeline.report.wording import Wording, format_count, format_threshold

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["our_markup", "page_environment"]

# Control characters, halves of surrogate pairs, and the marks that turn the direction of
# text: none can be shown, and the last make a text read as another.
_UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)


@cache  # to compile the templates takes ten times as long as to fill them
def page_environment(wording: Wording, *packages: str) -> "Environment":
    """Templates of the report and of further packages, found in that order."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in ("pipeline.report", *packages)]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_showable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(t=wording.texts, wording=wording)
    environment.filters.update(
        count=format_count, threshold=format_threshold, css=_css_string, unbroken=_unbroken
    )
    return environment


def our_markup(text: str) -> Any:
    """Mark as markup what this package wrote or has escaped. Never for anything from ``data``."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - written here, or escaped before


def _showable(value: Any) -> Any:
    """What a page may print: no character that hides or turns text, and never ``None``."""
    from markupsafe import Markup

    if value is None:
        raise TypeError("a template printed a value that is missing")
    if isinstance(value, Markup):
        return value
    return _UNSHOWABLE.sub("\ufffd", str(value))


def _unbroken(text: str) -> Any:
    """A text, escaped, in which no line ends inside a number such as ``4.1e-3``."""
    from markupsafe import escape

    numbers = r"(?:&lt; )?\b\d[\d.]*e-\d+"
    return our_markup(re.sub(numbers, r'<span class="nb">\g<0></span>', str(escape(_showable(text)))))


def _css_string(text: str) -> Any:
    """A text of ours, or identifiers, as a string of the style sheet."""
    if not re.fullmatch(r"[\w .,·:;()-]*", text):
        raise ValueError("not a text for the style sheet")
    return our_markup(f'"{text}"')
