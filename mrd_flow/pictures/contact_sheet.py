"""A page with all pictures of a sample, in the order in which an analyst looks at them."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from pipeline.errors import printable

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["Shown", "contact_sheet"]

_STYLE = """
body { margin: 0 auto; padding: 16px 28px; max-width: 1240px; background: #fff; color: #1b2430;
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif; }
h1 { font-size: 26px; line-height: 1.2; margin: 8px 0; }
h2 { font-size: 19px; margin: 36px 0 8px; }
nav ol { columns: 4; margin: 0; padding-left: 22px; font-size: 13.5px; }
a { color: #0b5c94; }
.all { display: flex; flex-wrap: wrap; gap: 0 28px; }
figure { margin: 0; padding: 14px 0; border-top: 1px solid #dfe3e8; break-inside: avoid; max-width: 100%; }
figure:target { background: #f5f7f9; }
img { display: block; max-width: 100%; }
figcaption { font-size: 13.5px; color: #55606e; overflow-wrap: anywhere; }
figcaption strong { color: #1b2430; }
figcaption p { margin: 0; }
.steps { float: right; }
.flag { color: #7a4a00; background: #fff6e5; border: 1px solid #e5b95e; border-radius: 3px; padding: 0 5px;
  font-size: 12px; font-weight: 650; }
.ruo { color: #8f1d34; font-weight: 650; font-size: 13px; }
"""

_POLICY = "default-src 'none'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{{ title }}: gate by gate</title>
<style>{{ style }}</style>
</head>
<body>
<p class="ruo">Research use, not for diagnosis</p>
<h1>{{ title }}: gate by gate</h1>
<p>Grey: events of the parent gate. Blue: those in the gate. Orange line: the boundary used, dashed where its
rule found none and the template's value was taken. Band: the rule's limits. Dotted black: the template's
value.</p>
{% for tube, pictures in tubes %}
<section>
<h2>{{ tube }}</h2>
<nav><ol>
{% for p in pictures %}
<li><a href="#p{{ p.number }}">{{ p.shown.title }}</a>
{% if p.shown.flagged %}<span class="flag">fallback</span>{% endif %}</li>
{% endfor %}
</ol></nav>
<div class="all">
{% for p in pictures %}
<figure id="p{{ p.number }}">
<figcaption>
<span class="steps">{% if p.number > 1 %}<a href="#p{{ p.number - 1 }}">previous</a>{% endif %}
 {% if p.number < last %}<a href="#p{{ p.number + 1 }}">next</a>{% endif %}</span>
<p><strong>{{ p.shown.title }}</strong>{% if p.shown.flagged %} <span class="flag">fallback</span>{% endif %}
{% if p.shown.file %} <a href="{{ p.shown.file }}">{{ p.shown.file }}</a>{% endif %}</p>
{% for line in p.shown.words %}<p>{{ line }}</p>{% endfor %}
</figcaption>
{% if p.image %}
<img alt="{{ p.shown.title }}, {{ tube }}: {{ p.shown.spoken }}" src="{{ p.image }}">
{% endif %}
</figure>
{% endfor %}
</div>
</section>
{% endfor %}
</body>
</html>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One picture of a tube (none where ``svg`` is empty), its file's name, and what is said of it.

    ``words`` stand beside it, ``spoken`` in its place where it cannot be seen.
    """

    tube: str
    title: str
    file: str
    words: tuple[str, ...]
    svg: bytes
    spoken: str = ""
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class _Placed:
    number: int
    shown: Shown
    image: "Markup"


def contact_sheet(title: str, shown: Sequence[Shown]) -> str:
    """The page as HTML; every text in it is escaped, nothing in it can run.

    Parameters
    ----------
    title
        The panel's.
    shown
        Pictures, those of a tube one after another.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else printable(str(value)),
    )
    placed = [_Placed(n, s, _embedded(s.svg)) for n, s in enumerate(shown, start=1)]
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return environment.from_string(_PAGE).render(
        title=title,
        style=Markup(_STYLE),  # noqa: S704 - a constant of this module
        policy=_POLICY.format(digest),
        tubes=[(tube, list(of_tube)) for tube, of_tube in groupby(placed, key=lambda p: p.shown.tube)],
        last=len(placed),
    )


def _embedded(svg: bytes) -> "Markup":
    """A picture as an address; base64 has no character that would need escaping."""
    from markupsafe import Markup

    code = base64.b64encode(svg).decode()
    return Markup(f"data:image/svg+xml;base64,{code}" if svg else "")  # noqa: S704 - base64
