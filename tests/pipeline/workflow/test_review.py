"""The review: what people change and sign, who may do so, and what is kept of it."""

import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient
from markupsafe import escape

from pipeline.errors import DamagedFile, InputRefused, UsageError
from pipeline.formats.records import read_parquet
from pipeline.model import AppliedChange, Change, MrdResult, SampleKey, Signature
from pipeline.review.app import create_app
from pipeline.review.desk import Desk, sample_id
from pipeline.review.guard import COOKIE, FormRefused, Guard
from pipeline.workflow.audit import read_audit
from pipeline.workflow.decisions import SeenOutdated
from pipeline.workflow.run import write_report_of
from pipeline.workflow.verify import verify_batch

PORT = 8421
HOST = f"http://127.0.0.1:{PORT}"
WHEN = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
NO_CELLS = Change(
    reviewer="AB-1", reason="debris", made_at=WHEN, tube=1, gate="CD138positive", dimension="CD138", low=0.75
)


@pytest.fixture
def done(finished_batch, tmp_path):
    """A finished batch to decide on; its inputs are those of the one that is shared."""
    return shutil.copytree(finished_batch.folder / "batch", tmp_path / "batch")


@pytest.fixture
def desk(done):
    return Desk(done)


@pytest.fixture
def guard():
    return Guard(PORT)


@pytest.fixture
def client(desk, guard):
    client = TestClient(create_app(desk, guard), base_url=HOST, follow_redirects=False)
    client.cookies.set(COOKIE, guard.token)
    return client


def first_sample(desk, patient="P01"):
    return desk.look(patient).samples[0]


def form_of(page: str, action: str) -> dict[str, str]:
    """Hidden fields of the form that goes to an address."""
    form = re.search(rf'action="{re.escape(action)}".*?</form>', page, re.DOTALL)
    assert form is not None, f"no form to {action}"
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[0]))


def sign(client, patient="P01", reviewer="AB-1"):
    action = f"/patient/{patient}/sign"
    fields = form_of(client.get(f"/patient/{patient}").text, action)
    return client.post(action, data=fields | {"reviewer": reviewer, "meaning": "approved"})


def test_patients_who_need_eyes_come_first_and_signed_ones_last(desk):
    assert [c.patient_id for c in desk.queue()] == ["P01", "P02"]
    desk.sign("P01", reviewer="AB-1", meaning="approved", seen=desk.look("P01").seen)
    queue = desk.queue()
    assert [(c.patient_id, c.is_signed) for c in queue] == [("P02", False), ("P01", True)]


def test_moved_gate_gives_a_second_result_and_leaves_the_first(desk, done):
    key = first_sample(desk)
    look = desk.look("P01")
    revision = desk.change(key, NO_CELLS, look.seen)

    after = desk.look("P01")
    assert after.results == look.results
    assert after.revision(key).results == revision.results
    automatic, revised = look.of(key)[0], revision.results[0]
    assert revised.numerator < automatic.numerator
    assert "changed by a reviewer" in revised.qc
    assert revised.lod is not None

    write_report_of(done)
    assert read_parquet(done / "results" / "mrd.parquet", MrdResult)[0] == automatic
    assert tuple(read_parquet(done / "results" / "reviewed.parquet", MrdResult)) == revision.results
    change = read_parquet(done / "results" / "changes.parquet", AppliedChange)[0]
    assert (change.reviewer, change.reason, change.applies) == ("AB-1", "debris", True)
    page = (done / "report" / "patients" / "P01.html").read_text()
    assert "CD138 from 0.75" in page
    assert "debris" in page
    assert verify_batch(done).findings == ()


def test_restored_sample_has_its_automatic_result_alone_and_the_trail_keeps_both(desk, done):
    key = first_sample(desk)
    desk.change(key, NO_CELLS, desk.look("P01").seen)
    desk.restore(key, "CD-2", desk.look("P01").seen)
    assert desk.look("P01").revision(key) is None
    assert [e["event"] for e in read_audit(done / "audit.jsonl")][-2:] == ["revised", "revised"]
    with pytest.raises(UsageError, match="nothing was changed"):
        desk.restore(key, "CD-2", desk.look("P01").seen)


def test_changes_of_two_gates_hold_together_and_one_of_the_same_gate_replaces(desk):
    key = first_sample(desk)
    other = Change(
        reviewer="AB-1", reason="size", made_at=WHEN, tube=1, gate="nucleated", dimension="FSC-A", low=3e4
    )
    again = Change(
        reviewer="AB-1", reason="less", made_at=WHEN, tube=1, gate="CD138positive", dimension="CD138", low=0.6
    )
    for change in (NO_CELLS, other, again):
        desk.change(key, change, desk.look("P01").seen)
    assert desk.look("P01").changes(key) == (other, again)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tube": 7}, "tube 7"),
        ({"gate": "nowhere"}, "no such gate"),
        ({"dimension": "CD99"}, "no such dimension"),
        ({"low": 0.9, "high": 0.2}, "min must lie below max"),
    ],
)
def test_change_that_does_not_fit_is_refused_and_nothing_is_kept(desk, done, change, reason):
    given = {"tube": 1, "gate": "by_CD38", "dimension": "CD38", "low": 0.9} | change
    wrong = Change(reviewer="AB-1", reason="x", made_at=WHEN, **given)
    before = (done / "audit.jsonl").read_bytes()
    with pytest.raises(UsageError, match=reason):
        desk.change(first_sample(desk), wrong, desk.look("P01").seen)
    assert (done / "audit.jsonl").read_bytes() == before


def test_signature_stands_until_the_results_are_others(desk):
    desk.sign("P01", reviewer="AB-1", meaning="approved", seen=desk.look("P01").seen)
    assert desk.look("P01").signatures[0].stands
    desk.change(first_sample(desk), NO_CELLS, desk.look("P01").seen)
    assert not desk.look("P01").signatures[0].is_current


def test_decision_on_what_is_no_longer_in_force_is_refused(desk):
    seen = desk.look("P01").seen
    desk.change(first_sample(desk), NO_CELLS, seen)
    with pytest.raises(SeenOutdated, match="changed after the page was opened"):
        desk.sign("P01", reviewer="CD-2", meaning="approved", seen=seen)
    with pytest.raises(SeenOutdated, match="changed after the page was opened"):
        desk.restore(first_sample(desk), "CD-2", seen)


def test_withdrawn_signature_stays_in_the_trail_and_is_withdrawn_once(desk, done):
    desk.sign("P01", reviewer="AB-1", meaning="approved", seen=desk.look("P01").seen)
    name = desk.look("P01").signatures[0].signature_id
    desk.withdraw(name, reviewer="AB-1", reason="wrong patient")
    signature = desk.look("P01").signatures[0]
    assert (signature.stands, signature.withdrawn_by, signature.withdrawn_reason) == (
        False, "AB-1", "wrong patient",
    )  # fmt: skip
    with pytest.raises(InputRefused, match="withdrawn before"):
        desk.withdraw(name, reviewer="AB-1", reason="again")
    with pytest.raises(InputRefused, match="no such signature"):
        desk.withdraw("0" * 64, reviewer="AB-1", reason="again")
    write_report_of(done)
    assert read_parquet(done / "results" / "signatures.parquet", Signature) == [signature]


@pytest.mark.parametrize("name", ["", "Jane Doe", "a" * 33, "../x", "<b>", "1980-01-01"])
def test_reviewer_is_a_pseudonym(desk, name):
    with pytest.raises(UsageError, match="initials or a pseudonym"):
        desk.sign("P01", reviewer=name, meaning="approved", seen=desk.look("P01").seen)


def test_two_desks_see_each_others_decisions(done, desk):
    other = Desk(done)
    desk.sign("P01", reviewer="AB-1", meaning="approved", seen=desk.look("P01").seen)
    assert [s.reviewer for s in other.look("P01").signatures] == ["AB-1"]


def test_twenty_reviewers_at_once_lose_no_signature(client, done):
    names = [f"R{i:02d}" for i in range(20)]
    ready = threading.Barrier(20)

    def one(name):
        ready.wait()
        return sign(client, "P02", name).status_code

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(one, names))
    assert answers == [303] * 20
    entries = read_audit(done / "audit.jsonl")
    assert sorted(e["reviewer"] for e in entries if e["event"] == "signed") == names


def test_damaged_batch_is_not_reviewed(done):
    path = done / "results" / "mrd.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedFile, match="not what its last run left"):
        Desk(done)


def test_batch_that_is_running_is_not_reviewed(done):
    from pipeline.workflow.batch import Batch

    with Batch(done).locked(), pytest.raises(InputRefused, match="another run holds this batch"):
        Desk(done)


def test_whole_review_by_pages(client, desk):
    key = first_sample(desk)
    page = client.get(f"/sample/{sample_id(key)}?tube=1&gate=by_CD38")
    action = f"/sample/{sample_id(key)}/change"
    fields = form_of(page.text, action) | {"low": "0.95", "high": "", "reviewer": "AB-1", "reason": "debris"}
    assert client.post(action, data=fields).status_code == 303
    assert "after changes" in client.get(f"/sample/{sample_id(key)}").text
    picture = client.get(f"/sample/{sample_id(key)}/tube/1/gate/by_CD38.svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert sign(client).status_code == 303
    page = client.get("/patient/P01").text
    assert "SIGNED" in page
    action = "/patient/P01/withdraw"
    fields = form_of(page, action) | {"reviewer": "AB-1", "reason": "too early"}
    assert client.post(action, data=fields).status_code == 303
    assert "WITHDRAWN" in client.get("/patient/P01").text
    samples = desk.look("P01").samples
    both = f"/patient/P01/compare?a={sample_id(samples[0])}&b={sample_id(samples[1])}"
    assert client.get(both).text.count("<table>") == 2
    assert "signature withdrawn" in client.get("/trail").text
    assert all("For research use only" in client.get(p).text for p in ("/", "/trail", "/patient/P01"))


def test_form_is_taken_once_at_its_own_address_and_only_from_this_process(client, desk, guard):
    action = "/patient/P01/sign"
    who = {"reviewer": "AB-1", "meaning": "approved"}
    fields = form_of(client.get("/patient/P01").text, action) | who
    assert client.post("/patient/P02/sign", data=fields).status_code == 403
    assert client.post(action, data=fields).status_code == 303
    assert client.post(action, data=fields).status_code == 403
    assert client.post(action, data=fields | {"seal": "forged.00"}).status_code == 403
    assert client.post(action, data={k: v for k, v in fields.items() if k != "seal"}).status_code == 403
    assert len(desk.look("P01").signatures) == 1


@pytest.mark.parametrize(
    "body", [b"seal=a&seal=b", b"\xff\xfe", b"seal=" + b"a" * 20_000, b"=&=&==", b"%zz=1;2"]
)
def test_body_that_is_no_form_is_refused(guard, body):
    with pytest.raises(FormRefused, match=r"form|field"):
        guard.fields(body, "/patient/P01/sign")


def test_strangers_get_nothing(client, guard):
    assert client.get("/", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/", headers={"host": f"127.0.0.1:{PORT + 1}"}).status_code == 421
    foreign = {"origin": "http://evil.example"}
    assert client.post("/patient/P01/sign", data={}, headers=foreign).status_code == 403
    client.cookies.clear()
    answer = client.get("/patient/P01")
    assert answer.status_code == 403
    assert "P01" not in answer.text
    assert client.get("/?token=guess").status_code == 403
    opened = client.get(f"/?token={guard.token}")
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    assert "httponly" in opened.headers["set-cookie"].lower()
    assert "samesite=strict" in opened.headers["set-cookie"].lower()


@pytest.mark.parametrize("path", ["/", "/patient/P01", "/nowhere", "/patient/../../etc", "/sample/zz"])
def test_every_answer_forbids_scripts_and_frames(client, path):
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script" not in answer.text


def test_reason_is_shown_as_text(client, desk):
    key = first_sample(desk)
    action = f"/sample/{sample_id(key)}/change"
    for text in ("<script>alert(1)</script>", "'\"><img src=x onerror=alert(1)>", "{{7*7}}"):
        fields = form_of(client.get(f"/sample/{sample_id(key)}?tube=1&gate=by_CD38").text, action)
        client.post(action, data=fields | {"low": "0.9", "high": "", "reviewer": "AB-1", "reason": text})
        for page in (client.get("/patient/P01").text, client.get("/trail").text):
            assert "<script" not in page
            assert "<img src=x" not in page
        assert str(escape(text)) in client.get("/patient/P01").text


def test_wrong_field_is_said_and_nothing_is_kept(client, desk):
    key = first_sample(desk)
    action = f"/sample/{sample_id(key)}/change"
    for wrong in (
        {"low": "nan"}, {"low": "x"}, {"low": "", "high": ""}, {"reason": ""}, {"reviewer": "J. Doe"},
    ):  # fmt: skip
        fields = form_of(client.get(f"/sample/{sample_id(key)}?tube=1&gate=by_CD38").text, action)
        given = fields | {"low": "0.9", "high": "", "reviewer": "AB-1", "reason": "x"} | wrong
        answer = client.post(action, data=given)
        assert answer.status_code == 422
        assert "Doe" not in answer.text
    assert desk.look("P01").revision(key) is None


def test_sample_key_is_that_of_the_result(desk):
    look = desk.look("P01")
    assert {SampleKey.of(r) for r in look.results} == set(look.samples)
