"""The pages in a real browser: nothing leaves them, nothing foreign runs, the filter filters."""

import os
import shutil
from contextlib import closing, contextmanager

import pytest
from report_hostile import HOSTILE, hostile_report
from report_trial import SEVEN, trial

from pipeline.report import write_report

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SHOWN = "#results tbody tr:visible"
LOADED_AND_LAID_OUT_MS = """async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now();
}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not on PATH; CI runs the browser tests")
        pytest.skip("chromium is not on PATH")
    from playwright.sync_api import sync_playwright

    folder = tmp_path_factory.mktemp("profile")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder, executable_path=chromium, headless=True, args=FLAGS
        )
        yield context
        context.close()


def visited(browser, paths, *, width=1280):
    """Each page in turn in one tab, with the addresses it asked for, its errors, messages and dialogs."""
    tab = browser.new_page()
    tab.set_viewport_size({"width": width, "height": 900})
    asked, complaints = [], []
    tab.on("request", lambda r: asked.append(r.url))
    tab.on("console", lambda m: complaints.append(m.text))
    tab.on("pageerror", lambda e: complaints.append(str(e)))
    tab.on("dialog", lambda d: (complaints.append(d.message), d.dismiss()))
    try:
        for path in paths:
            asked.clear()
            tab.goto(path.as_uri())
            yield path, tab, asked, complaints
    finally:
        tab.close()


@contextmanager
def opened(browser, path):
    """One page, as `visited` gives it."""
    with closing(visited(browser, [path])) as visits:
        yield next(visits)[1:]


def report_pages(report):
    return [report / "index.html", *sorted((report / "patients").glob("*.html"))]


def test_no_request_leaves_the_file_and_nothing_complains(browser, small_report):
    for path, page, asked, complaints in visited(browser, report_pages(small_report)):
        assert page.locator("h1").count() == 1
        assert asked == [path.as_uri()]
        assert complaints == []


@pytest.mark.parametrize("part", range(4))
def test_hostile_texts_do_not_run(browser, tmp_path, part):
    """Every text in every page, each time in other places; test_hostile.py has each in every place."""
    write_report(hostile_report(trial(2), *HOSTILE[8 * part :], *HOSTILE[: 8 * part]), tmp_path)
    for path, page, asked, complaints in visited(browser, report_pages(tmp_path)):
        page.locator("body").hover()
        assert page.evaluate("typeof window.hacked") == "undefined"
        assert asked == [path.as_uri()]
        assert complaints == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_each_hostile_text_does_not_run_in_any_place(browser, hostile_reports, part):
    pages = [r / name for r in hostile_reports[part::4] for name in ("index.html", "patients/P01.html")]
    for path, page, asked, complaints in visited(browser, pages):
        page.locator("body").hover()
        assert page.evaluate("typeof window.hacked") == "undefined"
        assert asked == [path.as_uri()]
        assert complaints == []


def test_filter_narrows_the_table_and_counts(browser, small_report):
    with opened(browser, small_report / "index.html") as (page, _, complaints):
        assert page.locator(SHOWN).count() == 48
        page.locator("select[name=c]").select_option("IND")
        assert page.locator(SHOWN).count() == 11
        page.locator("select[name=m]").select_option(label="NGS")
        assert page.locator(SHOWN).count() == 6
        page.get_by_label("Search").fill("trackable")
        assert page.locator(SHOWN).count() == 4
        assert page.locator("output").text_content() == "4"
        page.get_by_role("button", name="Clear").click()
        page.wait_for_function("document.querySelector('output').textContent === '48'")
        page.locator("select[name=t]").select_option("ASCT")
        page.locator("select[name=s]").select_option(label="Not detected")
        assert page.locator(SHOWN).count() == 3
        assert complaints == []


def test_head_sorts_by_mouse_and_by_key(browser, small_report):
    with opened(browser, small_report / "index.html") as (page, _, complaints):
        head = page.locator("[data-sort=lod]")
        head.click()
        limits = page.locator("#results tbody td:nth-child(6)").all_text_contents()
        numbers = [float(t) for t in limits if t != "–"]
        assert numbers == sorted(numbers)
        assert limits[-4:] == ["–"] * 4
        head.press("Enter")
        limits = page.locator("#results tbody td:nth-child(6)").all_text_contents()
        assert [float(t) for t in limits if t != "–"] == sorted(numbers, reverse=True)
        assert limits[-4:] == ["–"] * 4
        assert page.locator("th[aria-sort=descending]").count() == 1
        page.locator("[data-sort=patient]").click()
        assert page.locator("#results tbody th").first.text_content() == "P01"
        assert complaints == []


def test_table_is_whole_without_script(small_report):
    html = (small_report / "index.html").read_text(encoding="utf-8")
    assert html.count("<tr data-m=") == 48
    assert '<form id="filter" class="filter" role="search" hidden>' in html


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_page_never_scrolls_sideways(browser, small_report, width):
    for _, page, _, _ in visited(browser, report_pages(small_report), width=width):
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_very_long_texts_stay_within_the_page(browser, tmp_path):
    write_report(hostile_report(trial(1), "x" * 4000), tmp_path)
    for _, page, _, _ in visited(browser, report_pages(tmp_path)):
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_whole_trial_loads_within_a_second(browser, whole_trial):
    for name in ("index.html", "patients/P002.html"):
        runs = []
        while len(runs) < 5 and not any(load < 1000 for load, _ in runs):  # the machine has other work
            with opened(browser, whole_trial.out / name) as (page, _, _):
                load = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
                runs.append((load, page.evaluate(LOADED_AND_LAID_OUT_MS)))
        assert min(load for load, _ in runs) < 1000, (name, runs)


def test_paper_shows_every_row_that_fits_the_filter(browser, tmp_path):
    write_report(trial(20, visits=SEVEN), tmp_path)
    with opened(browser, tmp_path / "index.html") as (page, _, _):
        page.emulate_media(media="print")
        assert page.locator(SHOWN).count() == 420
        page.emulate_media(media="screen")
        page.locator("select[name=m]").select_option(label="EuroFlow")
        page.emulate_media(media="print")
        assert page.locator(SHOWN).count() == 140


def test_filter_of_a_whole_trial_answers_at_once(browser, whole_trial):
    with opened(browser, whole_trial.out / "index.html") as (page, _, complaints):
        assert page.locator(SHOWN).count() == 200
        page.get_by_label("Search").fill("P17")
        assert page.locator(SHOWN).count() == 3 * 21
        page.get_by_role("button", name="Clear").click()
        page.wait_for_function("document.querySelector('output').textContent === '3,612'")
        assert page.locator(SHOWN).count() == 200
        spent = page.evaluate(
            """() => { const form = document.getElementById('filter'); form.elements.text.value = 'flow';
            const start = performance.now(); form.dispatchEvent(new Event('input'));
            document.body.offsetHeight; return performance.now() - start; }"""
        )
        assert spent < 1000
        page.get_by_label("Search").fill("")
        page.get_by_role("button", name="Show all").click()
        assert page.locator(SHOWN).count() == 3612
        assert complaints == []
