"""What the pages say, that they say it twice in equal bytes, and that JSON says more."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from report_trial import DIGEST, patient_markers, trial, with_troubles

from pipeline.model import MrdResult, ValidatedLimits
from pipeline.report import PatientNote, write_report
from pipeline.report.matrix import PANEL_PATIENTS

RESEARCH_USE = "For research use only. Not for diagnosis."


class Text(HTMLParser):
    """The text a reader sees, without style and script."""

    def __init__(self):
        super().__init__()
        self.parts, self.hidden = [], 0

    def handle_starttag(self, tag, attrs):
        self.hidden += tag in ("style", "script")

    def handle_endtag(self, tag):
        self.hidden -= tag in ("style", "script")

    def handle_data(self, data):
        if not self.hidden:
            self.parts.append(data)


def text_of(path):
    parser = Text()
    parser.feed(path.read_text(encoding="utf-8"))
    return re.sub(r"\s+", " ", " ".join(parser.parts))


def pages(report):
    return sorted(report.rglob("*.html"))


def test_files_are_the_cohort_and_two_per_patient(tmp_path):
    written = write_report(trial(), tmp_path)
    names = [p.relative_to(tmp_path).as_posix() for p in written]
    assert names[:4] == ["index.html", "cohort.json", "patients/P01.html", "patients/P01.json"]
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(written)
    assert len(written) == 10


def test_same_data_gives_same_bytes_whatever_the_order_of_results(tmp_path):
    data = with_troubles(trial())
    first = write_report(data, tmp_path / "a")
    second = write_report(replace(data, results=data.results[::-1]), tmp_path / "b")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_pages_of_patients_no_longer_there_are_left(tmp_path):
    write_report(trial(4), tmp_path)
    write_report(trial(2), tmp_path)
    assert (tmp_path / "patients" / "P04.html").is_file()
    assert "P04" not in (tmp_path / "index.html").read_text()


def test_every_page_says_research_use_on_screen_and_in_print(small_report):
    for page in pages(small_report):
        assert RESEARCH_USE in text_of(page)
        assert f'@top-right {{ content: "{RESEARCH_USE}"' in page.read_text()


def test_policy_names_the_hashes_of_what_stands_in_the_page_and_nothing_else(small_report):
    for page in pages(small_report):
        html = page.read_text(encoding="utf-8")
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
        policy = policy.replace("&#39;", "'")
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy
        own = re.findall(r"<(?:style|script)>(.*?)</(?:style|script)>", html, flags=re.DOTALL)
        hashes = {base64.b64encode(hashlib.sha256(o.encode()).digest()).decode() for o in own}
        assert set(re.findall(r"'sha256-([^']+)'", policy)) == hashes


def test_nothing_is_fetched_from_anywhere(small_report):
    for page in pages(small_report):
        html = page.read_text(encoding="utf-8")
        assert not re.search(r"https?:|//[a-z]|url\(|@import|src=|<link|<iframe|<img", html)
        hrefs = re.findall(r'href="([^"]*)"', html)
        assert all(re.fullmatch(r"(\.\./)?[\w./-]*(#[\w-]+)?", h) for h in hrefs)


def test_no_missing_value_is_printed_as_one(small_report):
    for page in pages(small_report):
        assert not re.search(r"\b(None|nan|NaN|undefined|Undefined|True|False)\b", text_of(page))


def test_patient_page_says_what_a_negative_sample_would_have_shown(small_report):
    text = text_of(small_report / "patients" / "P01.html")
    assert "Not detected < 2.8e-6" in text
    assert "This sample would have shown 2.8e-6 or more (95 % power)." in text


def test_shallow_negative_reads_indeterminate_with_its_reason(small_report):
    text = text_of(small_report / "patients" / "P04.html")
    assert "IND LoD above 1e-5" in text
    assert "this sample could not have shown 1e-5: its limit of detection is higher" in text


def test_detected_below_loq_and_threshold_are_visible(small_report):
    text = text_of(small_report / "patients" / "P02.html")
    assert "NEG detected below 1e-5, < LoQ" in text
    assert text.count("detected below 1e-5, < LoQ") == 3


def test_not_evaluable_is_listed_beneath_the_figure(small_report):
    text = text_of(small_report / "patients" / "P03.html")
    assert "ASCT, NGS: The baseline sample shows no rearrangement" in text


def test_every_field_of_a_result_can_be_read_on_the_patients_page(tmp_path):
    fields = {"qc": "q-17", "run_id": "run-x", "lod_basis": "basis-y", "method_version": "version-z"}
    data = trial()
    results = (replace(data.results[0], **fields, target_id="target-t"), *data.results[1:])
    write_report(replace(data, results=results), tmp_path)
    text = text_of(tmp_path / "patients" / "P01.html")
    shown = ["EuroFlow", "bone marrow", "2025-01-14", "2.0e-1", "1.9e-1", "4.6e-4", "LoQ 8.3e-4", "11,904"]
    shown += ["60,200", "nucleated cells", "Detected", "As many as the method asks for", DIGEST[:12]]
    for value in [*fields.values(), "target-t", *shown]:
        assert value in text, value


def test_clone_and_gate_tables_and_their_flags_are_there(small_report):
    text = text_of(small_report / "patients" / "P01.html")
    assert "below the 5 % a clone's marker needs" in text
    assert patient_markers("P01", trackable=True)[0].junction in text
    assert text.count("CD38 above 21,000") == 12
    assert text.count("unverified") == 8  # four tubes, each in its summary and at the gate


def test_notes_are_banners_and_other_patients_stay_out_of_a_patients_page(small_report):
    assert "Task P04-ngs failed" in text_of(small_report / "index.html")
    assert "Sequencing of IND failed" in text_of(small_report / "patients" / "P04.html")
    other = text_of(small_report / "patients" / "P01.html")
    assert "The batch has one note" in other
    assert "P04" not in other
    for page in pages(small_report):
        assert "Unverified defaults in use: flow background of the SRL panel" in text_of(page)


def test_input_whose_damage_only_a_digest_would_show_is_marked_unverified(tmp_path):
    data = trial(1)
    first, *others = data.provenance.inputs
    inputs = (replace(first, unverified=True), *others)
    write_report(replace(data, provenance=replace(data.provenance, inputs=inputs)), tmp_path)
    text = text_of(tmp_path / "patients" / "P01.html")
    assert f"{first.name} (unverified: no digest" in text
    assert text.count("(unverified: no digest") == 1


def test_cohort_counts_calls_and_why_they_are_indeterminate(small_report):
    text = text_of(small_report / "index.html")
    assert "4 patients 16 samples 48 results" in text
    assert "SRL-Flow 11 2 3 LoD above 1e-5 (1), failed QC (1), tubes disagree (1)" in text
    assert "NGS 8 2 6 no trackable clone (4), LoD above 1e-5 (2)" in text


def test_patient_json_holds_every_field_of_every_record(small_report):
    data = with_troubles(trial())
    found = json.loads((small_report / "patients" / "P02.json").read_text())
    assert len(found["results"]) == 12
    assert set(MrdResult.__dataclass_fields__) < set(found["results"][0])
    readings = found["results"][6]["readings"]
    assert [(r["threshold"], r["call"], r["below_loq"]) for r in readings] == [
        (1e-5, "NEG", True),
        (1e-6, "POS", True),
    ]
    assert readings[0]["reason"] == "detected_below_threshold"
    assert len(found["markers"]) == 2
    assert len(found["gates"]) == len([g for g in data.gates if g.patient_id == "P02"])
    assert found["provenance"]["plan_sha256"] == DIGEST
    assert len(found["provenance"]["inputs"]) == 24
    assert found["unverified"] == ["flow background of the SRL panel"]


def test_patient_without_any_result_gets_a_page_that_says_so(tmp_path):
    data = replace(trial(1), patient_notes=(PatientNote(patient_id="P09", text="no file yet"),))
    write_report(data, tmp_path)
    text = text_of(tmp_path / "patients" / "P09.html")
    assert "There is no result of this patient yet." in text
    assert "no file yet" in text
    assert "P09" in text_of(tmp_path / "index.html")


def test_batch_without_any_result_gets_a_page_that_says_so(tmp_path):
    data = replace(trial(1), results=(), markers=(), gates=())
    write_report(replace(data, provenance=replace(data.provenance, inputs=())), tmp_path)
    assert "This batch has no result yet." in text_of(tmp_path / "index.html")


def test_several_targets_of_a_method_are_one_sign_and_named_lines(tmp_path):
    data = trial()
    second = [replace(r, target_id="IGK-1") for r in data.results if r.method == "ngs"]
    write_report(replace(data, results=(*data.results, *second)), tmp_path)
    assert "NGS IGK-1" in text_of(tmp_path / "patients" / "P01.html")
    assert "P01: BASE EuroFlow POS; BASE SRL-Flow POS; BASE NGS POS; IND" in text_of(tmp_path / "index.html")


def test_result_at_a_time_point_outside_the_plan_is_shown_last(tmp_path):
    data = trial()
    extra = replace(data.results[0], timepoint="EXTRA")
    more = replace(data, results=(extra, *data.results))
    assert more.timepoint_codes[-1] == "EXTRA"
    write_report(more, tmp_path)
    assert "EXTRA" in text_of(tmp_path / "patients" / "P01.html")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thresholds": ()}, "needs thresholds"),
        ({"thresholds": (1e-5, 2.0)}, "needs thresholds"),
        ({"study_id": "../up"}, "study_id is not an identifier"),
        ({"patient_notes": (PatientNote(patient_id="../../x", text=""),)}, "patient_id is not an identifier"),
    ],
)
def test_impossible_report_data_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(trial(), **changes)


def test_whole_trial_stays_small_and_quick(whole_trial):
    assert whole_trial.spent < 60
    index, *others = whole_trial.written
    assert index.read_text().count("<figure><svg") == 6 * 4  # comparisons, each with its figures
    assert index.stat().st_size < 5_000_000
    assert max(p.stat().st_size for p in others if p.parent.name == "patients") < 300_000
    panels = index.read_text().count('class="matrix"')
    assert panels == -(-172 // PANEL_PATIENTS)


def test_validated_limit_stands_beside_the_samples_own_and_changes_no_call(tmp_path):
    plain = trial()
    limits = ValidatedLimits(method="ngs", lob=0.0, lod=2e-9, loq=5e-9, study="EP17 <2026>")
    beside = replace(plain, validated=(limits,))
    write_report(plain, tmp_path / "a")
    write_report(beside, tmp_path / "b")
    before, after = (json.loads((tmp_path / d / "cohort.json").read_text()) for d in ("a", "b"))
    assert any(r["validated"] for r in after["results"] if r["method"] == "ngs")
    for one, other in zip(before["results"], after["results"], strict=True):
        assert {**one, "validated": ""} == {**other, "validated": ""}
    page = (tmp_path / "b" / "index.html").read_text()
    assert "assay validated: LoD 2.0e-9, LoQ 5.0e-9 (EP17 &lt;2026&gt;)" in page
    assert "assay validated" not in (tmp_path / "a" / "index.html").read_text()
