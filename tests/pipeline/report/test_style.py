"""Colours of the style sheet keep the contrast that WCAG 2.1 asks for, in light and dark."""

import re
from importlib.resources import files

import pytest

SHEET = (files("pipeline.report") / "templates" / "page.css").read_text(encoding="utf-8")
SCHEMES = dict(zip(("light", "dark"), re.findall(r":root \{(.*?)\}", SHEET, flags=re.DOTALL), strict=True))

TEXT = [
    ("ink", "paper"), ("soft", "paper"), ("link", "paper"), ("pos", "paper"), ("ink", "wash"),
    ("soft", "wash"), ("pos-ink", "pos"), ("neg", "neg-wash"), ("ind", "ind-wash"), ("warn", "warn-wash"),
]  # fmt: skip
SIGNS = [(f"m{i}", ground) for i in range(6) for ground in ("paper", "wash")]


def colours(scheme):
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]+);", SCHEMES[scheme]))


def luminance(colour):
    """Relative luminance, WCAG 2.1."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_on_white_is_21():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("front", "ground"), TEXT)
def test_text_has_a_contrast_of_4_5(scheme, front, ground):
    found = colours(scheme)
    assert contrast(found[front], found[ground]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("front", "ground"), SIGNS)
def test_signs_have_a_contrast_of_3(scheme, front, ground):
    found = colours(scheme)
    assert contrast(found[front], found[ground]) >= 3
