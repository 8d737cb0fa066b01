"""The common look of figures: the same bytes, text that stays text, axes of fractions."""

import xml.etree.ElementTree as ET

import pytest

from pipeline.report.figure_style import SERIES, fraction_axis, house_style, image_of, write_figure


def _figure(label="a"):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 3))
    axes = figure.add_subplot()
    axes.plot([0, 1], [1e-5, 1e-3], color=SERIES[0], label=label)
    fraction_axis(axes, "y", low=1e-6, high=1e-2)
    axes.legend()
    return figure


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_same_figure_has_the_same_bytes_and_no_date(kind):
    with house_style():
        first, second = image_of(_figure(), kind), image_of(_figure(), kind)
    assert first == second
    assert not any(word in first for word in (b"Matplotlib v", b"dc:date", b"Software", b"tEXt"))


def test_the_users_own_settings_do_not_matter():
    import matplotlib as mpl

    with house_style():
        expected = image_of(_figure())
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "svg.fonttype": "path"}), house_style():
        assert image_of(_figure()) == expected


def test_text_is_text_and_markup_in_it_is_not_markup():
    with house_style():
        tree = ET.fromstring(image_of(_figure("<script>x</script> & $a_b$")))
    tags = {element.tag.rpartition("}")[2] for element in tree.iter()}
    texts = {element.text for element in tree.iter() if element.tag.endswith("text")}
    assert "script" not in tags
    assert {"<script>x</script> & $a_b$", "1e-5", "1e-2"} <= texts


def test_colours_are_those_of_the_style_sheet():
    import re
    from importlib.resources import files

    css = files("pipeline.report").joinpath("templates/page.css").read_text()
    light = css[: css.index("prefers-color-scheme")]
    assert tuple(re.findall(r"--m[0-5]: (#[0-9a-f]{6})", light)) == SERIES


def test_what_is_no_fraction_or_no_format_is_refused(tmp_path):
    with house_style():
        figure = _figure()
        with pytest.raises(ValueError, match="0 < low < high"):
            fraction_axis(figure.axes[0], "x", low=0.0, high=1.0)
        with pytest.raises(ValueError, match=r"as \.svg or \.png"):
            write_figure(tmp_path / "a.pdf", figure)
        write_figure(tmp_path / "a.svg", figure)
        assert (tmp_path / "a.svg").read_bytes() == image_of(figure)
