"""A figure as markup that stands in a page whose policy forbids style attributes.

The pages allow the style sheet they carry and nothing else, so that no text of the data can bring
its own. SVG has an attribute for each property matplotlib sets: styles become attributes.
"""

import re
from typing import TYPE_CHECKING

from pipeline.report.figure_style import image_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["inline_svg"]

_TAG = re.compile(r"<[^>]+>")
_LONG = re.compile(r"(\d\.\d\d)\d+")  # a hundredth of a point is less than anybody sees
_MARKS = re.compile(
    r'(<use xlink:href="[^"]*") x="[^"]*" y="[^"]*"([^>]*)/>\n(?:\1 x="[^"]*" y="[^"]*"\2/>\n)+'
)
_PLACE = re.compile(r' x="([^"]*)" y="([^"]*)"')
_CIRCLE = re.compile(r'<path id="([^"]*)" d="M 0 ([\d.]+)\s(?:C [-\d. ]+\s+){8}z')
_STYLE = re.compile(r' style="([^"]*)"')
_FONT = re.compile(r"(?:(\w+) )?([\d.]+px) (.*)")
_KNOWN = {
    "fill", "fill-opacity", "font-family", "font-size", "font-style", "font-weight", "opacity", "stroke",
    "stroke-dasharray", "stroke-dashoffset", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit",
    "stroke-opacity", "stroke-width", "text-anchor",
}  # fmt: skip
_CSS_ONLY = {"clip-rule", "fill-rule", "white-space"}


def inline_svg(figure: "Figure", name: str, label: str) -> str:
    """A figure as an ``svg`` element, without style attributes or a style sheet of its own.

    Parameters
    ----------
    figure
        Made in `pipeline.report.figures.words.worded_style`, in which this is called too.
    name
        Letters, digits and hyphens; put before every id, so that figures of a page do not share one.
    label
        What a screen reader says of it; escaped here.

    Raises
    ------
    ValueError
        If the name has other characters, or matplotlib sets a property that has no attribute.
    """
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise ValueError("a figure's name on a page has letters, digits and hyphens")
    text = image_of(figure).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*</defs>", "", text)
    text = _STYLE.sub(_attributes, text)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(href="|url\()#', rf"\1#{name}-", text)
    text = re.sub(r"[ \t]*\n[ \t]*", "\n", text)
    text = _TAG.sub(lambda tag: _LONG.sub(r"\1", tag[0]), text)
    radii = dict(_CIRCLE.findall(text))
    text = _MARKS.sub(lambda marks: _gathered(marks, radii), text)
    return text.replace("<svg ", f'<svg class="drawn" role="img" aria-label="{_escaped(label)}" ', 1).rstrip()


def _attributes(match: re.Match[str]) -> str:
    found = []
    for declaration in filter(None, (d.strip() for d in match[1].split(";"))):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if key == "font":
            found.append(_font(value))
        elif key in _KNOWN:
            found.append(f' {key}="{value}"')
        elif key not in _CSS_ONLY:
            raise ValueError(f"no attribute stands for the property {key}")
    return "".join(found)


def _gathered(marks: re.Match[str], radii: dict[str, str]) -> str:
    """A cloud of equal marks as one element: dots are round ends of lines without length.

    Thousands of elements would take a browser seconds to lay out.
    """
    looks, marker = marks[2], marks[1].partition("#")[2].rstrip('"')
    fill = re.search(r' fill="([^"]*)"', looks)
    if marker not in radii or fill is None or fill[1] == "none":
        return f"<g{looks}>\n{marks[0].replace(f'{looks}/>', '/>')}</g>\n"
    seen = re.search(r' fill-opacity="([^"]*)"', looks)
    opacity = f' stroke-opacity="{seen[1]}"' if seen else ""
    dots = "".join(f"M{x} {y}h0" for x, y in _PLACE.findall(marks[0]))
    width = f"{2 * float(radii[marker]):g}"
    return f'<path d="{dots}" stroke="{fill[1]}"{opacity} stroke-width="{width}" stroke-linecap="round"/>\n'


def _font(value: str) -> str:
    known = _FONT.fullmatch(value)
    if known is None:
        raise ValueError("matplotlib wrote a font of another form")
    weight = f' font-weight="{known[1]}"' if known[1] else ""
    return f' font-size="{known[2]}"{weight} font-family="{known[3]}, sans-serif"'


def _escaped(text: str) -> str:
    from markupsafe import escape

    return str(escape(text))
