"""Every FCS file is read as it is, or refused with a reason; nothing is read wrongly in silence."""

import contextlib
import warnings

import flowio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrd_flow.fcs.data_sets import check_file, read_data_sets
from mrd_flow.fcs.writer import Column, write_fcs
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


def built(path, version, parameters, data, *, events, header=(0, 0), shift=(0, 0), more=(), tail=b""):
    """A file byte by byte: (bits, range, amplification, own data type) per parameter.

    ``header`` and ``shift`` move the DATA offsets of HEADER and TEXT off their true place;
    a ``header`` of None leaves them 0.
    """
    first = 1024
    end = first + len(data) - 1
    pairs = [
        ("$PAR", len(parameters)),
        ("$TOT", events),
        ("$MODE", "L"),
        ("$NEXTDATA", 0),
        ("$BEGINDATA", first + shift[0]),
        ("$ENDDATA", end + shift[1]),
        *more,
    ]
    for n, (bits, top, amplification, kind) in enumerate(parameters, start=1):
        pairs += [(f"$P{n}B", bits), (f"$P{n}R", top), (f"$P{n}E", amplification), (f"$P{n}N", f"P{n}")]
        pairs += [(f"$P{n}DATATYPE", kind)] if kind else []
    text = ("|" + "|".join(f"{k}|{v}" for k, v in pairs) + "|").encode()
    spans = (0, 0) if header is None else (first + header[0], end + header[1])
    offsets = "".join(f"{o:8d}" for o in (58, 58 + len(text) - 1, *spans, 0, 0))
    head = f"FCS{version}    {offsets}".encode() + text
    assert len(head) <= first
    path.write_bytes(head.ljust(first) + data + tail)
    return path


LINEAR16 = (16, 65536, "0,0", "")
LITTLE, BIG = ("$BYTEORD", "1,2,3,4"), ("$BYTEORD", "4,3,2,1")


@pytest.mark.parametrize("version", ["2.0", "3.0", "3.1", "3.2"])
@pytest.mark.parametrize(("order", "kind"), [(LITTLE, "<u2"), (BIG, ">u2")])
def test_every_version_and_byte_order_is_read(tmp_path, version, order, kind):
    values = np.array([[1, 2], [258, 65535], [4096, 7]])
    path = built(tmp_path / "a.fcs", version, [LINEAR16] * 2, values.astype(kind).tobytes(), events=3,
                 more=[("$DATATYPE", "I"), order])  # fmt: skip
    (data,) = read_data_sets(path)
    assert data.version == version
    np.testing.assert_array_equal(data.table(), values)
    assert codes(path) == {"spillover_missing"}


def test_data_types_may_differ_between_parameters(tmp_path):
    """FCS 3.2: $PnDATATYPE overrides $DATATYPE."""
    row = np.dtype([("i", ">u2"), ("f", ">f4"), ("d", ">f8"), ("odd", "u1", 3)])
    table = np.array([(513, 1.5, -2.25, (1, 2, 3)), (7, -0.5, 1e6, (255, 0, 1))], row)
    parameters = [(16, 65536, "0,0", "I"), (32, 1, "0,0", ""), (64, 1, "0,0", "D"), (24, 2**24, "0,0", "I")]
    path = built(
        tmp_path / "a.fcs", "3.2", parameters, table.tobytes(), events=2, more=[("$DATATYPE", "F"), BIG]
    )
    (data,) = read_data_sets(path)
    np.testing.assert_array_equal(data.table(), [[513, 1.5, -2.25, 66051], [7, -0.5, 1e6, 16711681]])


@pytest.mark.parametrize(("order", "step"), [(LITTLE, 1), (BIG, -1)])
def test_odd_widths_and_bits_above_the_range_are_no_data(tmp_path, order, step):
    """24-bit words of which $PnR = 1024 leaves ten bits; the rest is another use of the maker."""
    words = [0x000001, 0xFFFC05, 0xABC3FF]
    data = b"".join(w.to_bytes(3, "little")[::step] for w in words)
    path = built(
        tmp_path / "a.fcs", "3.0", [(24, 1024, "0,0", "")], data, events=3, more=[("$DATATYPE", "I"), order]
    )
    (found,) = read_data_sets(path)
    np.testing.assert_array_equal(found.table()[:, 0], [1, 5, 1023])


def test_bit_masks_of_ranges_that_are_no_power_of_two(tmp_path):
    words = np.array([999, 1023, 1024 + 3], "<u2")
    path = built(tmp_path / "a.fcs", "2.0", [(16, 1000, "0,0", "")], words.tobytes(), events=3,
                 more=[("$DATATYPE", "I"), ("$BYTEORD", "1,2")])  # fmt: skip
    np.testing.assert_array_equal(read_data_sets(path)[0].table()[:, 0], [999, 1023, 3])


def test_logarithmic_integers_become_linear(tmp_path):
    """FCS 3.1: 10^(decades x / range) times the value at zero, which may be written as 0."""
    words = np.array([0, 256, 1023], "<u2")
    for name, amplification, factor in (("a", "4,1", 1.0), ("b", "4.0,0.0", 1.0), ("c", "4,0.1", 0.1)):
        path = built(tmp_path / f"{name}.fcs", "2.0", [(16, 1024, amplification, "")], words.tobytes(),
                     events=3, more=[("$DATATYPE", "I"), LITTLE])  # fmt: skip
        expected = factor * 10 ** (4 * words / 1024)
        np.testing.assert_allclose(read_data_sets(path)[0].table()[:, 0], expected, rtol=1e-6)


def test_a_logarithm_without_a_range_is_read_as_linear_and_said(tmp_path):
    path = built(tmp_path / "a.fcs", "3.0", [(16, 0, "4,1", "")], np.array([5], "<u2").tobytes(), events=1,
                 more=[("$DATATYPE", "I"), LITTLE])  # fmt: skip
    (data,) = read_data_sets(path)
    assert data.table().tolist() == [[5.0]]
    assert [a.grave for a in data.anomalies if a.code == "amplification"] == [True]


@pytest.mark.parametrize(
    ("header", "shift", "code"),
    [
        (None, (0, 0), "header_blank"),
        ((0, 1), (0, 0), "offsets_disagree"),
        ((0, 0), (0, 1), "offsets_disagree"),
        ((-4, 0), (0, 0), "offsets_disagree"),
        ((0, 0), (4, 0), "offsets_disagree"),
        ((0, 1), (0, 1), "data_end_off_by_one"),
    ],
)
def test_wrong_offsets_are_mended_by_tot_and_said(tmp_path, header, shift, code):
    values = np.arange(6).reshape(3, 2)
    path = built(tmp_path / "a.fcs", "3.0", [LINEAR16] * 2, values.astype("<u2").tobytes(), events=3,
                 header=header, shift=shift, more=[("$DATATYPE", "I"), LITTLE], tail=b"\0" * 8)  # fmt: skip
    np.testing.assert_array_equal(read_data_sets(path)[0].table(), values)
    assert code in codes(path)


def test_several_data_sets_of_a_file_are_all_read(tmp_path):
    """As in LMD files: $NEXTDATA counts from the start of its own data set."""
    first = built(tmp_path / "a", "2.0", [LINEAR16], np.array([1, 2], "<u2").tobytes(), events=2,
                  more=[("$DATATYPE", "I"), LITTLE])  # fmt: skip
    second = built(tmp_path / "b", "3.0", [(32, 1, "0,0", "")], np.array([0.5], "<f4").tobytes(), events=1,
                   more=[("$DATATYPE", "F"), LITTLE])  # fmt: skip
    head = first.read_bytes()
    path = tmp_path / "both.lmd"
    edited_head = head.replace(b"$NEXTDATA|0|", b"$NEXTDATA|2048|")
    shorter = len(edited_head) - len(head)
    text_end = int(head[18:26]) + shorter
    edited_head = edited_head[:18] + f"{text_end:8d}".encode() + edited_head[26:]
    gap = edited_head.index(b"$P1N|P1|") + 8
    edited_head = edited_head[:gap] + edited_head[gap + shorter :]  # DATA stays at its place
    path.write_bytes(edited_head.ljust(2048, b"\0") + second.read_bytes())
    found = read_data_sets(path)
    assert [d.table().ravel().tolist() for d in found] == [[1.0, 2.0], [0.5]]


def test_bytes_in_no_order_are_refused_where_words_differ_in_length(tmp_path):
    path = built(tmp_path / "a.fcs", "3.0", [LINEAR16], b"\1\2", events=1,
                 more=[("$DATATYPE", "I"), ("$BYTEORD", "3,4,1,2")])  # fmt: skip
    with pytest.raises(InputRefused, match=r"\$BYTEORD mixes the bytes"):
        read_data_sets(path)


def test_the_clock_has_no_gain_and_its_step_is_kept(tmp_path):
    path, values = small_file(tmp_path / "a.fcs", columns=("FL1-A", "Time"),
                              keywords=[("$P2G", "0.01"), ("$P1G", "2"), ("$TIMESTEP", "0.01")])  # fmt: skip
    (data,) = read_data_sets(path)
    np.testing.assert_array_equal(data.table(), values / [2, 1])
    assert data.time_step == 0.01
    path, _ = small_file(tmp_path / "b.fcs", keywords=[("$TIMESTEP", "fast")])
    assert read_data_sets(path)[0].time_step is None


def test_a_matrix_written_by_columns_is_found_by_the_events(tmp_path):
    spill = np.array([[1.0, 0.15, 0.01], [0.02, 1.0, 0.2], [0.0, 0.03, 1.0]])
    rng = np.random.default_rng(3)
    true = 100 * np.sinh(rng.normal(1.0, 0.5, (5000, 3)) + 4 * (rng.random((5000, 3)) < 0.3))
    events = (true @ spill).astype(np.float32)
    names = ("FL1-A", "FL2-A", "FL3-A")
    for name, matrix in (("right", spill), ("turned", spill.T)):
        path = tmp_path / f"{name}.fcs"
        write_fcs(path, [Column(name=n) for n in names], [events], events=5000, spillover=(names, matrix))
        found = [
            a.grave for d in read_data_sets(path) for a in d.anomalies if a.code == "spillover_transposed"
        ]
        assert found == ([True] if name == "turned" else [])


def test_no_public_file_has_its_matrix_called_transposed(shared_data):
    for name in ("100715.fcs", "B01_KC-A-W---91-US.fcs", "G11.fcs", "fake_large_fcs.fcs"):
        (data,) = read_data_sets(shared_data / "flow" / "files" / name)
        assert data.spillover is not None
        assert "spillover_transposed" not in codes(data.path)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("2,FL1-A,FL2-A,2,0.1,0.1,2", "spillover_diagonal"),
        ("2,FL1-A,FL9-A,1,0.1,0.1,1", "spillover_unusable"),
        ("2,1,0.1,0.1,1,FL1-A,FL2-A", "spillover_unusable"),
        ("2,FL1-A,FL2-A,1,0.1,0.1", "spillover_unusable"),
    ],
)
def test_a_matrix_with_wrong_names_or_diagonal_is_said(tmp_path, value, code):
    path, _ = small_file(tmp_path / "a.fcs", columns=("FL1-A", "FL2-A"), keywords=[("$SPILLOVER", value)])
    assert code in codes(path)
