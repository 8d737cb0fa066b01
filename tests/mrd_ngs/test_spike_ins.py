"""Spike-in sheets are validated line by line; the calibration says how sure it is."""

import numpy as np
import pytest

from mrd_ngs.evidence import DistinctReads, SpikeIn
from mrd_ngs.settings import NgsSettings
from mrd_ngs.spike_ins import calibrate, fit_calibration, parse_spike_ins
from pipeline.errors import InputRefused, SheetRefused

A, B, C = "ACGTT" * 14, "AGGCT" * 14, "TTACG" * 14


def sheet(*rows: tuple[str, str, str]) -> str:
    return "\n".join("\t".join(row) for row in (("name", "sequence", "copies"), *rows)) + "\n"


def test_columns_may_stand_in_any_order_with_others_between() -> None:
    text = f"copies\tlot\tsequence\tname\n40\tx\t{A.lower()}\tS1\n40\tx\t{B}\tS2\n\n20.5\tx\t{C}\tS3\n"
    spike_ins = parse_spike_ins("\ufeff" + text.replace("\n", "\r\n"))
    assert [(s.name, s.copies) for s in spike_ins] == [("S1", 40.0), ("S2", 40.0), ("S3", 20.5)]
    assert spike_ins[0].sequence == A.encode()


@pytest.mark.parametrize(
    ("row", "column", "cause"),
    [
        (("", C, "40"), "name", "has no name"),
        (("S3", C[:-1] + "N", "40"), "sequence", "more than A, C, G, T"),
        (("S3", "ACGT", "40"), "sequence", "has 4 nucleotides"),
        (("S3", C, "many"), "copies", "not a number above 0"),
        (("S3", C, "0"), "copies", "not a number above 0"),
        (("S3", C, "nan"), "copies", "not a number above 0"),
        (("S1", C, "40"), "name", "the name stands twice"),
        (("S3", A, "40"), "sequence", "the sequence is that of line 2"),
        (("S3", C), "copies", "not a number above 0"),
    ],
)
def test_a_bad_cell_is_named_by_line_and_column(row: tuple[str, ...], column: str, cause: str) -> None:
    text = sheet(("S1", A, "40"), ("S2", B, "40")) + "\t".join(row) + "\n"
    with pytest.raises(SheetRefused, match=rf"s\.tsv, line 4, column '{column}': .*{cause}"):
        parse_spike_ins(text, path="s.tsv")


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(SheetRefused, match="and 2 more problems") as caught:
        parse_spike_ins(sheet(("", "ACGT", "40"), ("S2", B, "-1")))
    assert [p.line for p in caught.value.problems] == [2, 2, 3]


def test_missing_columns_are_named() -> None:
    with pytest.raises(InputRefused, match=r"line 1: .* without the columns sequence, copies"):
        parse_spike_ins("name\tseq\nS1\tACGT\n", path="s.tsv")


def test_two_spike_ins_say_nothing_about_their_spread() -> None:
    with pytest.raises(InputRefused, match=r"2 spike-ins\. Expected: at least 3"):
        parse_spike_ins(sheet(("S1", A, "40"), ("S2", B, "40")))


def test_window_lies_within_the_spike_in_and_holds_its_centre() -> None:
    spike_in = SpikeIn(name="S", sequence=bytes(range(65, 91)) * 4, copies=1, centre=100)
    assert spike_in.window(20) == spike_in.sequence[-20:]
    assert spike_in.window(500) == spike_in.sequence


def test_jackpots_widen_the_calibration() -> None:
    even = fit_calibration([("a", 400, 40), ("b", 400, 40), ("c", 400, 40)], error_rate=0.001)
    jackpot = fit_calibration([("a", 200, 40), ("b", 700, 40), ("c", 300, 40)], error_rate=0.001)
    assert even is not None
    assert jackpot is not None
    assert even.reads_per_template == jackpot.reads_per_template == 10.0
    assert even.dispersion == 1.0
    assert jackpot.dispersion == pytest.approx((200**2 + 300**2 + 100**2) / 400 / 2)
    assert jackpot.relative_error > even.relative_error
    assert jackpot.detection_efficiency(2) < even.detection_efficiency(2)


def test_no_spike_in_reads_give_no_calibration() -> None:
    assert fit_calibration([("a", 0, 40), ("b", 0, 40), ("c", 0, 40)], error_rate=0.001) is None
    reads = DistinctReads.from_counts({b"A" * 100: 3})
    assert calibrate(reads, (), window_nt=80, settings=NgsSettings()) is None


def test_missing_spike_ins_are_named() -> None:
    fit = fit_calibration([("a", 90, 40), ("b", 0, 40), ("c", 110, 40)], error_rate=0.001)
    assert fit is not None
    assert fit.missing == ("b",)


def test_detection_efficiency_is_that_of_the_negative_binomial() -> None:
    fit = fit_calibration([("a", 150, 40), ("b", 250, 40), ("c", 200, 40)], error_rate=0.001)
    assert fit is not None
    size = fit.reads_per_template / (fit.dispersion - 1)
    rng = np.random.default_rng(3)
    drawn = rng.negative_binomial(size, 1 / fit.dispersion, 200_000)
    # standard error of a share of 200,000 draws is at most 0.0011
    assert fit.detection_efficiency(2) == pytest.approx(float((drawn >= 2).mean()), abs=0.005)


def test_error_rate_is_measured_in_the_spike_ins() -> None:
    rng = np.random.default_rng(5)
    spike_ins = parse_spike_ins(sheet(*(("S" + s[:6], s, "40") for s in _random_sequences(rng, 4))))
    counts: dict[bytes, int] = {}
    for spike_in in spike_ins:
        for _ in range(2000):
            bases = bytearray(spike_in.sequence)
            for place in np.flatnonzero(rng.random(len(bases)) < 0.003):
                bases[place] = rng.choice([b for b in b"ACGT" if b != bases[place]])
            counts[bytes(bases)] = counts.get(bytes(bases), 0) + 1
    reads = DistinctReads.from_counts(counts)
    fit = calibrate(reads, spike_ins, window_nt=80, settings=NgsSettings())
    assert fit is not None
    # some 1,500 erroneous reads: standard error 2.6 %
    assert fit.error_rate == pytest.approx(0.003, rel=0.1)
    assert fit.reads_per_template == pytest.approx(50 * 0.997**80, rel=0.02)


def _random_sequences(rng: np.random.Generator, count: int) -> list[str]:
    return ["".join(rng.choice(list("ACGT"), 120)) for _ in range(count)]
