"""Every FCS file is read as it is, or refused with a reason; nothing is read wrongly in silence."""

import contextlib
import warnings

import flowio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrd_flow.fcs import check_file, read_data_sets
from mrd_flow.fcs_writer import Column, write_fcs
from pipeline.errors import DamagedFile, InputRefused

# (file, why) of ../shared/data/flow/files that hold no readable events
UNREADABLE = {
    "corrupted.fcs": "not an FCS file",
    "sample_header.fcs": "cut off",
}
# FlowIO reads these only wrongly or not at all; ours are checked against the standard below
BEYOND_FLOWIO = {
    "Cytek_xP5.fcs",
    "Data003.fcs",
    "fake_large_fcs.fcs",
    "data_start_offset_discrepancy_example.fcs",
    "data_stop_offset_discrepancy_example.fcs",
    "variable_int_example.fcs",
}


def small_file(path, events=5, columns=("FSC-A", "FL1-A"), **choices):
    values = np.arange(events * len(columns), dtype=np.float32).reshape(events, len(columns))
    write_fcs(path, [Column(name=c) for c in columns], [values], events=events, **choices)
    return path, values


def codes(path):
    return {a.code for d in read_data_sets(path) for a in d.anomalies}


def edited(path, old, new):
    """Replace bytes of equal length, so that no offset moves."""
    assert len(old) == len(new)
    raw = path.read_bytes()
    assert old in raw
    path.write_bytes(raw.replace(old, new, 1))


def test_every_shared_file_is_read_or_refused_with_its_reason(shared_data):
    refused = {}
    files = sorted((shared_data / "flow" / "files").iterdir())
    for path in files:
        try:
            for data in read_data_sets(path):
                assert data.table().shape == (data.events, len(data.parameters))
        except InputRefused as error:
            refused[path.name] = error.what
    assert set(refused) == set(UNREADABLE)
    assert all(UNREADABLE[name] in what for name, what in refused.items())
    assert len(files) - len(refused) == 21


def test_values_equal_flowio_on_every_file_it_reads(shared_data):
    """FlowIO 1.4 scales time by $TIMESTEP; we leave ticks, so the time column is left out."""
    compared = 0
    for path in sorted((shared_data / "flow" / "files").iterdir()):
        if path.name in UNREADABLE.keys() | BEYOND_FLOWIO:
            continue
        ours = read_data_sets(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # FlowIO's on offsets it mends
            options = {"ignore_offset_error": True}
            several = len(ours) > 1
            theirs = (
                flowio.read_multiple_data_sets(str(path), **options)
                if several
                else [flowio.FlowData(str(path), **options)]
            )
        for mine, other in zip(ours, theirs, strict=True):
            columns = tuple(i for i in range(len(mine.parameters)) if i != other.time_index)
            expected = other.as_array(preprocess=True)[:, columns].astype(np.float32)
            np.testing.assert_allclose(mine.table(columns), expected, rtol=2e-7)
            compared += 1
    assert compared == 16


def test_24_bit_integers_equal_a_plain_reading_of_their_bytes(shared_data):
    path = shared_data / "flow" / "files" / "Data003.fcs"
    (data,) = read_data_sets(path)
    raw = np.frombuffer(path.read_bytes(), np.uint8, 25_000 * 24, 4096).reshape(-1, 8, 3).astype(np.int64)
    words = raw[:, :, 0] * 65536 + raw[:, :, 1] * 256 + raw[:, :, 2]
    np.testing.assert_array_equal(data.table((0,))[:, 0], words[:, 0] & 0x3FFFF)
    amplified = 10 ** (4.0 * (words[:, 3] & 1023) / 1024)
    np.testing.assert_allclose(data.table((3,))[:, 0], amplified, rtol=1e-6)


def test_header_and_text_that_disagree_are_settled_by_tot_and_said(shared_data):
    folder = shared_data / "flow" / "files"
    plain = read_data_sets(folder / "variable_int_example.fcs")[0].table()
    for name in ("data_start_offset_discrepancy_example.fcs", "data_stop_offset_discrepancy_example.fcs"):
        (data,) = read_data_sets(folder / name)
        np.testing.assert_array_equal(data.table(), plain)
        assert [a.grave for a in data.anomalies if a.code == "offsets_disagree"] == [False]


def test_what_is_written_is_read_back_by_us_and_by_flowio(tmp_path):
    path, values = small_file(tmp_path / "a.fcs", 7, ("FSC-A", "a/b"), keywords=[("NOTE", "x/y")])
    (data,) = read_data_sets(path)
    assert [p.name for p in data.parameters] == ["FSC-A", "a/b"]
    assert data.keywords["NOTE"] == "x/y"
    np.testing.assert_array_equal(data.table(), values)
    np.testing.assert_array_equal(np.array(flowio.FlowData(str(path)).events).reshape(7, 2), values)


def test_a_file_beyond_99_999_999_bytes_has_zero_header_offsets_and_is_read(tmp_path):
    chunk = np.ones((130_000, 200), np.float32)
    path = tmp_path / "large.fcs"
    write_fcs(path, [Column(name=f"P{i}") for i in range(200)], [chunk], events=130_000)
    assert path.read_bytes()[26:42] == b"       0" * 2
    (data,) = read_data_sets(path)
    assert (data.events, {a.code for a in data.anomalies}) == (130_000, {"spillover_missing"})
    assert sum(float(c.sum()) for c in data.chunks((199,))) == 130_000


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"FCS", "not an FCS file"),
        (b"patient,cells\n1,2\n", "not an FCS file"),
        (b"\xff\xfe\x00garbage", "not an FCS file"),
        (b"FCS3.1    ", "HEADER is cut off"),
        (b"FCS3.1    " + b" " * 48, "does not say where TEXT"),
        (b"FCS3.1    " + b"      58    9999" + b"       0" * 4, "TEXT ends at byte 9999"),
        (b"FCS3.1    " + b"      58      60" + b"       0" * 4 + b"/a/", r"TEXT holds no keywords"),
    ],
)
def test_what_is_no_whole_fcs_file_is_damaged(tmp_path, content, reason):
    path = tmp_path / "x.fcs"
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match=reason):
        read_data_sets(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputRefused, match="No such file"):
        check_file(tmp_path / "absent.fcs")
    with pytest.raises(InputRefused, match="cannot be read"):
        read_data_sets(tmp_path)


def test_truncated_data_is_damaged_at_every_length(tmp_path):
    path, _ = small_file(tmp_path / "a.fcs")
    raw = path.read_bytes()
    for length in range(len(raw) - 1, 0, -7):
        path.write_bytes(raw[:length])
        with pytest.raises(DamagedFile, match=r"cut off|HEADER|not an FCS"):
            read_data_sets(path)


def test_a_tot_above_the_data_is_refused_and_one_below_is_grave(tmp_path):
    path, values = small_file(tmp_path / "a.fcs")
    edited(path, b"$TOT/5/", b"$TOT/9/")
    with pytest.raises(DamagedFile, match=r"\$TOT states 9 events, DATA has room for 5"):
        read_data_sets(path)
    edited(path, b"$TOT/9/", b"$TOT/3/")
    (data,) = read_data_sets(path)
    np.testing.assert_array_equal(data.table(), values[:3])
    assert [a.grave for a in data.anomalies if a.code == "rows_beyond_tot"] == [True]


def test_deviations_are_kept(tmp_path):
    path, _ = small_file(tmp_path / "a.fcs", keywords=[("$TIMESTEP", "fast"), ("$TIMESTEP", "slow")])
    assert codes(path) == {"timestep", "duplicate_keyword", "spillover_missing"}
    path, _ = small_file(tmp_path / "b.fcs", columns=("FL1-A", "FL1-A"))
    assert "duplicate_parameter" in codes(path)
    bad = (("FSC-A", "FL1-A"), np.array([[1.0, 1.0], [1.0, 1.0]]))
    path, _ = small_file(tmp_path / "c.fcs", spillover=bad)
    assert "spillover_unusable" in codes(path)
    path, _ = small_file(tmp_path / "d.fcs", events=0)
    assert "no_events" in codes(path)
    assert read_data_sets(path)[0].table().shape == (0, 2)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"$PAR/2/", b"$PAR/x/", r"\$PAR is not a number"),
        (b"$PAR/2/", b"$PAR/0/", r"\$PAR is not a number"),
        (b"$DATATYPE/F/", b"$DATATYPE/A/", "data type 'A' is not read"),
        (b"$MODE/L/", b"$MODE/U/", "histograms"),
        (b"$BYTEORD/1,2,3,4/", b"$BYTEORD/1,2,2,4/", r"\$BYTEORD"),
        (b"$P1B/32/", b"$P1B/12/", r"\$P1B is 12"),
    ],
)
def test_keywords_that_make_no_sense_are_refused(tmp_path, old, new, reason):
    path, _ = small_file(tmp_path / "a.fcs")
    edited(path, old, new)
    with pytest.raises(InputRefused, match=reason):
        read_data_sets(path)


def test_control_characters_of_a_file_do_not_reach_a_message(tmp_path):
    path, _ = small_file(tmp_path / "a.fcs", columns=("\x1b[31mX", "\x1b[31mX"))
    texts = [a.text for a in read_data_sets(path)[0].anomalies]
    assert any(r"\x1b[31mX" in t for t in texts)
    assert not any("\x1b" in t for t in texts)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 420), st.integers(0, 255)), min_size=1, max_size=6))
def test_no_flipped_byte_ends_in_a_traceback(tmp_path_factory, changes):
    """Whatever a byte of HEADER or TEXT becomes: a table, or a refusal."""
    path, _ = small_file(tmp_path_factory.mktemp("flip") / "a.fcs")
    raw = bytearray(path.read_bytes())
    for place, value in changes:
        raw[place % len(raw)] = value
    path.write_bytes(bytes(raw))
    outcome = "refused"
    with contextlib.suppress(InputRefused):
        outcome = "read" if all(d.table().ndim == 2 for d in read_data_sets(path)) else "wrong"
    assert outcome in ("refused", "read")


def test_same_events_same_bytes(tmp_path):
    first, _ = small_file(tmp_path / "a.fcs")
    second, _ = small_file(tmp_path / "b.fcs")
    assert first.read_bytes() == second.read_bytes()


def test_the_writer_refuses_another_number_of_events(tmp_path):
    with pytest.raises(ValueError, match="6 events were announced, 5 given"):
        write_fcs(tmp_path / "a.fcs", [Column(name="A")], [np.zeros((5, 1), np.float32)], events=6)
    assert list(tmp_path.iterdir()) == []
