"""Whatever a text holds, a page keeps exactly the elements and attributes it has without it."""

import json
import re
from html.parser import HTMLParser

import pytest
from report_hostile import HOSTILE, hostile_report
from report_trial import trial

from pipeline.report import write_report

ATTRIBUTES = {
    "aria-hidden", "aria-label", "aria-labelledby", "autocomplete", "charset", "class", "colspan", "content",
    "d", "data-c", "data-m", "data-s", "data-sort", "data-t", "focusable", "height", "hidden",
    "href", "http-equiv", "id", "lang", "name", "placeholder", "preserveaspectratio", "r", "rel", "role",
    "rowspan", "rx", "scope", "tabindex", "title", "transform", "type", "value", "viewbox", "width", "x", "y",
}  # fmt: skip


class Structure(HTMLParser):
    """Elements with the names of their attributes, in order; no text."""

    def __init__(self):
        super().__init__()
        self.found, self.values = [], {}

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, tuple(name for name, _ in attrs)))
        for name, value in attrs:
            self.values.setdefault(name, set()).add(value or "")

    def handle_endtag(self, tag):
        self.found.append(("/" + tag, ()))

    def handle_comment(self, data):
        self.found.append(("comment", ()))

    def handle_decl(self, decl):
        self.found.append((decl, ()))

    def unknown_decl(self, data):
        self.found.append(("unknown", ()))


def structure(path):
    parser = Structure()
    parser.feed(path.read_text(encoding="utf-8"))
    parser.close()
    return parser


@pytest.fixture(scope="module")
def harmless(tmp_path_factory):
    out = tmp_path_factory.mktemp("harmless")
    write_report(hostile_report(trial(2), "plain"), out)
    return [structure(p).found for p in sorted(out.rglob("*.html"))]


def test_there_are_at_least_twenty_hostile_texts():
    assert len(set(HOSTILE)) >= 20


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_text_changes_no_element_and_no_attribute(number, hostile_reports, harmless):
    pages = [structure(p) for p in sorted(hostile_reports[number].rglob("*.html"))]
    assert [p.found for p in pages] == harmless
    for page in pages:
        assert set(page.values) <= ATTRIBUTES
        assert all(re.fullmatch(r"[\w./#-]*", h) for h in page.values["href"])
        assert page.values["class"].isdisjoint(HOSTILE)


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_text_comes_back_whole_from_json_and_is_inert_in_it(number, hostile_reports):
    text, found = HOSTILE[number], sorted(hostile_reports[number].rglob("*.json"))
    assert len(found) == 3
    for path in found:
        raw = path.read_text(encoding="utf-8")
        assert not re.search("[<>&\u2028\u2029]", raw)
        assert json.loads(raw)["title"] == text
        assert json.loads(raw)["results"][0]["qc"] == text


def test_characters_that_hide_or_turn_text_are_shown_as_unknown(tmp_path):
    write_report(hostile_report(trial(1), "a\u202eb\x00c\ud800"), tmp_path)
    page = (tmp_path / "patients" / "P01.html").read_text(encoding="utf-8")
    assert "a\ufffdb\ufffdc\ufffd" in page
    assert not re.search("[\u202e\x00]", page)


def test_text_stays_readable_as_text(tmp_path):
    write_report(hostile_report(trial(1), "<b> & 'c'"), tmp_path)
    assert "&lt;b&gt; &amp; &#39;c&#39;" in (tmp_path / "index.html").read_text(encoding="utf-8")
