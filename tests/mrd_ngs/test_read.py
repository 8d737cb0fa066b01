"""Files become a library in which every read is accounted for."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mrd_ngs.annotate import annotate_sequences
from mrd_ngs.evidence import Library, Trimming, reverse_complement
from mrd_ngs.germline import load_germline
from mrd_ngs.read import check_sample, read_library, read_spike_ins
from mrd_ngs.settings import NgsSettings
from mrd_ngs.spike_ins import calibrate
from pipeline.errors import DamagedFile, InputRefused, SheetRefused
from pipeline.formats.digest import sha256_file
from pipeline.formats.fastq import read_fastq
from pipeline.model import Sample
from rearrangements import recombine

SETTINGS = NgsSettings()


@pytest.fixture
def simulated(small_data: Path) -> Path:
    return small_data / "ngs"


def write_fastq(path: Path, sequences: list[bytes]) -> Path:
    path.write_bytes(b"".join(b"@%d\n%s\n+\n%s\n" % (i, s, b"I" * len(s)) for i, s in enumerate(sequences)))
    return path


def assert_same_evidence(one: Library, other: Library) -> None:
    for a, b in ((one.reads, other.reads), (one.spike_in_reads, other.spike_in_reads)):
        assert a.blob == b.blob
        assert np.array_equal(a.counts, b.counts)
        assert np.array_equal(a.starts, b.starts)
    assert one.fates == other.fates
    assert one.input_reads == other.input_reads


def test_every_read_has_one_fate(simulated: Path, make_sample: Callable[..., Sample]) -> None:
    for path in sorted(simulated.glob("*.fastq.gz")):
        library = read_library(make_sample(files=(path,), spike_ins=simulated / "spike_ins.tsv"), SETTINGS)
        assert sum(fate.reads for fate in library.fates) == library.input_reads == 2000
        counted = int(library.reads.counts.sum() + library.spike_in_reads.counts.sum())
        assert counted == library.input_reads
        assert library.input_sha256 == sha256_file(path)


def test_order_and_strand_of_reads_change_nothing(
    simulated: Path, tmp_path: Path, make_sample: Callable[..., Sample], rng: np.random.Generator
) -> None:
    sequences = [read.sequence for read in read_fastq(simulated / "mrd_1e-3.fastq.gz")]
    permuted = [sequences[i] for i in rng.permutation(len(sequences))]
    flipped = [reverse_complement(s) for s in permuted]
    mixed = [f if rng.random() < 0.5 else s for s, f in zip(permuted, flipped, strict=True)]
    libraries = [
        read_library(
            make_sample(
                files=(write_fastq(tmp_path / f"{name}.fastq", variant),),
                spike_ins=simulated / "spike_ins.tsv",
            ),
            SETTINGS,
        )
        for name, variant in {
            "as": sequences,
            "permuted": permuted,
            "flipped": flipped,
            "mixed": mixed,
        }.items()
    ]
    for other in libraries[1:]:
        assert_same_evidence(libraries[0], other)


def test_short_and_ambiguous_reads_are_counted_apart(
    tmp_path: Path, make_sample: Callable[..., Sample]
) -> None:
    path = write_fastq(tmp_path / "a.fastq", [b"ACGT" * 20, b"ACGT" * 5, b"ACGN" * 20])
    library = read_library(make_sample(files=(path,)), SETTINGS)
    fates = {fate.fate: fate.reads for fate in library.fates}
    assert fates == {
        "kept": 1, "ambiguous_bases": 1, "spike_in": 0, "spike_in_with_errors": 0, "too_short": 1
    }  # fmt: skip


def test_only_short_reads_are_refused(tmp_path: Path, make_sample: Callable[..., Sample]) -> None:
    path = write_fastq(tmp_path / "a.fastq", [b"ACGT"] * 3)
    with pytest.raises(InputRefused, match=r"all 3 reads are shorter than 50 nucleotides"):
        read_library(make_sample(files=(path,)), SETTINGS)


def random_dna(rng: np.random.Generator, length: int) -> bytes:
    return rng.choice(np.frombuffer(b"ACGT", dtype=np.uint8), length).tobytes()


def write_records(path: Path, records: list[tuple[str, bytes]], *, end: str = "\n") -> Path:
    lines = [f"@{name}{end}{bases.decode()}{end}+{end}{'F' * len(bases)}{end}" for name, bases in records]
    path.write_bytes("".join(lines).encode())
    return path


def mates_of(
    fragments: list[bytes], length: int, folder: Path, *, umis: list[str] | None = None
) -> tuple[Path, Path]:
    """Two files of mates that start at either end of their fragment."""
    names = [f"r{i}" if umis is None else f"r{i}:{umis[i]}" for i in range(len(fragments))]
    first = [(f"{n} 1:N:0:1", f[:length]) for n, f in zip(names, fragments, strict=True)]
    second = [(f"{n} 2:N:0:1", reverse_complement(f)[:length]) for n, f in zip(names, fragments, strict=True)]
    return write_records(folder / "r1.fastq", first), write_records(folder / "r2.fastq", second)


def fates_of(library: Library) -> dict[str, int]:
    return {fate.fate: fate.reads for fate in library.fates}


def test_mates_give_the_library_of_their_fragments(
    simulated: Path, tmp_path: Path, make_sample: Callable[..., Sample]
) -> None:
    """Simulated reads of 200 nt cut into mates of 150 nt: merged, they are the reads again."""
    fragments = [read.sequence for read in read_fastq(simulated / "mrd_1e-3.fastq.gz")]
    sheet = simulated / "spike_ins.tsv"
    single = write_fastq(tmp_path / "single.fastq", fragments)
    whole = read_library(make_sample(files=(single,), spike_ins=sheet), SETTINGS)
    files = mates_of(fragments, 150, tmp_path)
    merged = read_library(make_sample(files=files, spike_ins=sheet), SETTINGS)
    check_sample(make_sample(files=files, spike_ins=sheet))
    assert merged.merging is not None
    assert merged.merging.merged == merged.merging.pairs == len(fragments)
    assert merged.merging.mean_overlap_nt == pytest.approx(100)
    assert fates_of(merged) == {**fates_of(whole), "mates_do_not_overlap": 0}
    assert (merged.reads.blob, merged.spike_in_reads.blob) == (whole.reads.blob, whole.spike_in_reads.blob)
    assert merged.reads.counts.tolist() == whole.reads.counts.tolist()


def test_no_order_of_pairs_changes_the_library(
    tmp_path: Path, make_sample: Callable[..., Sample], rng: np.random.Generator
) -> None:
    fragments = [random_dna(rng, 120) for _ in range(20)]
    fragments = [fragments[i] for i in rng.integers(0, 20, 300)]
    umis = [random_dna(rng, 3).decode() * 2 for _ in fragments]
    libraries: list[Library] = []
    for order in (np.arange(300), rng.permutation(300)):
        folder = tmp_path / str(len(libraries))
        folder.mkdir()
        files = mates_of([fragments[i] for i in order], 80, folder, umis=[umis[i] for i in order.tolist()])
        settings = NgsSettings(umi_source="name", umi_length_nt=6)
        libraries.append(read_library(make_sample(files=files), settings))
    assert_same_evidence(*libraries)
    assert libraries[0].umis == libraries[1].umis


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("order", r"r2\.fastq, line 1: record 1: its name is not that of its mate in r1\.fastq"),
        ("number", r"r2\.fastq, line 9: record 3: ends here, but its mates in r1\.fastq go on"),
        ("long", r"r1\.fastq, line 1: record 1: a line is longer than any read accepted \(70 nucleotides\)"),
    ],
)
def test_mates_that_do_not_belong_together_are_refused(
    tmp_path: Path, make_sample: Callable[..., Sample], rng: np.random.Generator, change: str, message: str
) -> None:
    files = mates_of([random_dna(rng, 120) for _ in range(3)], 80, tmp_path)
    lines = files[1].read_bytes().splitlines(keepends=True)
    if change == "order":
        files[1].write_bytes(b"".join(lines[4:] + lines[:4]))
    elif change == "number":
        files[1].write_bytes(b"".join(lines[:8]))
    settings = NgsSettings(max_read_nt=70 if change == "long" else 1000)
    with pytest.raises(DamagedFile, match=message):
        read_library(make_sample(files=files), settings)


def test_three_files_are_refused(tmp_path: Path, make_sample: Callable[..., Sample]) -> None:
    with pytest.raises(InputRefused, match=r"3 read files.*two of mates"):
        read_library(make_sample(files=(tmp_path / "a", tmp_path / "b", tmp_path / "c")), SETTINGS)


def test_lower_case_and_mixed_line_ends_merge_like_others(
    tmp_path: Path, make_sample: Callable[..., Sample], rng: np.random.Generator
) -> None:
    fragment = random_dna(rng, 120)
    files = (
        write_records(tmp_path / "r1.fastq", [("r0/1", fragment[:80].lower())], end="\r\n"),
        write_records(tmp_path / "r2.fastq", [("r0/2", reverse_complement(fragment)[:80])]),
    )
    library = read_library(make_sample(files=files), SETTINGS)
    assert library.reads.sequence(0) == min(fragment, reverse_complement(fragment))


def test_mates_of_n_are_counted_as_not_overlapping(
    tmp_path: Path, make_sample: Callable[..., Sample], rng: np.random.Generator
) -> None:
    first, second = mates_of([random_dna(rng, 120)], 80, tmp_path)
    for path, number in ((first, 1), (second, 2)):
        path.write_bytes(path.read_bytes() + b"@n/%d\n%s\n+\n%s\n" % (number, b"N" * 80, b"#" * 80))
    assert fates_of(read_library(make_sample(files=(first, second)), SETTINGS))["mates_do_not_overlap"] == 1


def test_primers_and_adapters_are_cut_from_mates_and_counted(
    tmp_path: Path, make_sample: Callable[..., Sample], rng: np.random.Generator
) -> None:
    primers, adapter, insert = (b"ACGTTGCATC", b"GGATCCTTAA"), b"AGATCGGAAGAGC", random_dna(rng, 100)
    fragment = primers[0] + insert + reverse_complement(primers[1])
    pairs = [
        ("a", fragment + adapter, reverse_complement(fragment) + adapter),
        ("b", random_dna(rng, 120), random_dna(rng, 120)),
    ]
    files = (
        write_records(tmp_path / "r1.fastq", [(f"{n}/1", one) for n, one, _ in pairs]),
        write_records(tmp_path / "r2.fastq", [(f"{n}/2", two) for n, _, two in pairs]),
    )
    settings = NgsSettings(
        primers_first=primers[0].decode(), primers_second=primers[1].decode(), primer_action="require",
        adapters_first=adapter.decode(), adapters_second=adapter.decode(),
    )  # fmt: skip
    library = read_library(make_sample(files=files), settings)
    assert library.reads.sequence(0) == min(insert, reverse_complement(insert))
    assert library.trimming == Trimming(
        primers_first=1, primers_second=1, adapters_first=1, adapters_second=1
    )
    assert fates_of(library)["primer_missing"] == 1
    single = write_records(tmp_path / "s.fastq", [("a", fragment + adapter), ("b", pairs[1][1])])
    alone = read_library(make_sample(files=(single,)), settings)
    assert alone.reads.blob == library.reads.blob
    assert alone.trimming == Trimming(primers_first=1, primers_second=1, adapters_first=1, adapters_second=0)


def test_inline_umis_with_a_spacer_are_taken_from_either_mate(
    tmp_path: Path, make_sample: Callable[..., Sample], rng: np.random.Generator
) -> None:
    insert = random_dna(rng, 120)
    heads = [b"ACGTACGTGAC", b"ACGTACGTGAC", b"TTTTACGTGAC", b"ACNTACGTGAC", b"ACGTACGTCCC"]
    short = (b"ACG", reverse_complement(insert)[:80])
    one = [h + insert[:80] for h in heads]
    two = [reverse_complement(insert)[:80]] * len(heads)
    records = [*zip(one, two, strict=True), short]
    for source in ("first", "second"):
        ordered = records if source == "first" else [(b, a) for a, b in records]
        files = (
            write_records(tmp_path / "r1.fastq", [(f"r{i}/1", a) for i, (a, _) in enumerate(ordered)]),
            write_records(tmp_path / "r2.fastq", [(f"r{i}/2", b) for i, (_, b) in enumerate(ordered)]),
        )
        settings = NgsSettings(umi_source=source, umi_spacer="GAY", trim_max_mismatch_rate=0.0)
        library = read_library(make_sample(files=files), settings)
        fates = fates_of(library)
        assert library.counted == "molecules"
        assert library.reads.counts.tolist() == [2]
        assert library.reads.sequence(0) == min(insert, reverse_complement(insert))
        assert (fates["kept"], fates["umi_missing"], fates["umi_ambiguous"], fates["umi_spacer_missing"]) == (
            3, 1, 1, 1
        )  # fmt: skip
        assert sum(fates.values()) == library.input_reads == 6


def test_reads_without_umis_are_refused_with_their_number(
    tmp_path: Path, make_sample: Callable[..., Sample]
) -> None:
    path = write_fastq(tmp_path / "a.fastq", [b"ACGT" * 20] * 3)
    with pytest.raises(InputRefused, match=r"none of 3 reads can be used \(umi_missing 3\)"):
        read_library(make_sample(files=(path,)), NgsSettings(umi_source="name"))
    with pytest.raises(InputRefused, match=r"UMI is to be read from second mates, and there are none"):
        read_library(make_sample(files=(path,)), NgsSettings(umi_source="second"))


def test_spike_ins_are_counted_in_molecules_like_the_clone(
    tmp_path: Path, make_sample: Callable[..., Sample], rng: np.random.Generator
) -> None:
    """120 copies of the clone and 40 of each spike-in; their families differ sixfold in size."""
    clone = random_dna(rng, 160)
    spike_ins = [random_dna(rng, 160) for _ in range(5)]
    rows = [f"S{i}\t{s.decode()}\t40\n" for i, s in enumerate(spike_ins)]
    sheet = tmp_path / "s.tsv"
    sheet.write_text("name\tsequence\tcopies\n" + "".join(rows))
    fragments, umis = [], []
    for sequence, number, size in ((clone, 120, 6), *((s, 40, 1 + i) for i, s in enumerate(spike_ins))):
        for _ in range(number):
            fragments += [sequence] * size
            umis += [random_dna(rng, 8).decode()] * size
    settings = NgsSettings(umi_source="name")
    sample = make_sample(files=mates_of(fragments, 100, tmp_path, umis=umis), spike_ins=sheet)
    library = read_library(sample, settings)
    assert library.counted == "molecules"
    assert library.reads.counts.tolist() == [120]
    fit = calibrate(
        library.spike_in_reads, library.spike_ins, window_nt=80, settings=settings, counted=library.counted
    )
    assert fit is not None
    assert (fit.reads_per_template, fit.dispersion) == (1.0, 1.0)
    assert fates_of(library)["spike_in"] == 40 * (1 + 2 + 3 + 4 + 5)
    assert sum(fates_of(library).values()) == library.input_reads == len(fragments)


def read_or_refuse(sample: Sample, settings: NgsSettings) -> tuple[Library | None, str]:
    try:
        return read_library(sample, settings), ""
    except InputRefused as refused:
        return None, str(refused)


@given(st.data())
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_fates_add_up_to_the_reads_whatever_is_set(
    tmp_path: Path, make_sample: Callable[..., Sample], data: st.DataObject
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    paired = data.draw(st.booleans())
    sources = ("none", "name", "tag", "first", "second") if paired else ("none", "name", "tag", "first")
    settings = NgsSettings(
        min_read_nt=data.draw(st.sampled_from([1, 40, 90])),
        mates_unmerged=data.draw(st.sampled_from(["drop", "first", "second"])),
        primers_first=data.draw(st.sampled_from(["", "ACGTTG"])),
        primers_second="GGATCC",
        primer_action=data.draw(st.sampled_from(["trim", "require"])),
        primer_max_offset_nt=data.draw(st.integers(0, 3)),
        adapters_first=data.draw(st.sampled_from(["", "AGATCGGAAG"])),
        adapters_second=data.draw(st.sampled_from(["", "AGATCGGAAG,CTGTCT"])),
        umi_source=data.draw(st.sampled_from(sources)),
        umi_length_nt=4,
        umi_spacer=data.draw(st.sampled_from(["", "GA"])),
        umi_min_family_reads=data.draw(st.integers(1, 2)),
    )
    inserts = [random_dna(rng, int(rng.integers(20, 130))) for _ in range(6)]
    first: list[tuple[str, bytes]] = []
    second: list[tuple[str, bytes]] = []
    for i in range(60):
        insert = b"ACGTTG" * int(rng.integers(2)) + inserts[rng.integers(6)]
        insert += b"GGATCC" * int(rng.integers(2))
        head = random_dna(rng, 2) * 2 + b"GA"
        umi = random_dna(rng, 2).decode() * int(rng.integers(3)) + "N" * int(rng.integers(5) == 0)
        for reads, strand, number in ((first, insert, 1), (second, reverse_complement(insert), 2)):
            read = np.frombuffer(head + strand + b"AGATCGGAAG", dtype=np.uint8)[: rng.integers(3, 100)].copy()
            read[rng.random(len(read)) < 0.02] = ord("N")
            reads.append((f"r{i}:{umi} {number} RX:Z:{umi}", read.tobytes()))
    files = [write_records(tmp_path / "r1.fastq", first)]
    if paired:
        files.append(write_records(tmp_path / "r2.fastq", second))
    library, refusal = read_or_refuse(make_sample(files=tuple(files)), settings)
    if library is None:
        assert 60 in (
            sum(map(int, re.findall(r"_\w+ (\d+)", refusal))),
            *map(int, re.findall(r"all (\d+)", refusal)),
        )
        return
    assert sum(fate.reads for fate in library.fates) == library.input_reads == 60
    assert min(fate.reads for fate in library.fates) >= 0
    assert len({fate.fate for fate in library.fates}) == len(library.fates)
    if settings.umi_source == "none":
        counted = sum(fates_of(library)[name] for name in ("kept", "ambiguous_bases"))
        assert int(library.reads.counts.sum()) == counted


def test_damage_is_found_by_check_and_by_read(
    simulated: Path, tmp_path: Path, make_sample: Callable[..., Sample]
) -> None:
    path = tmp_path / "cut.fastq.gz"
    path.write_bytes((simulated / "baseline.fastq.gz").read_bytes()[:-2000])
    for act in (check_sample, lambda s: read_library(s, SETTINGS)):
        with pytest.raises(DamagedFile, match=r"cut\.fastq\.gz, line \d+: record"):
            act(make_sample(files=(path,)))


def test_spike_in_sheet_is_part_of_the_check(
    simulated: Path, tmp_path: Path, make_sample: Callable[..., Sample]
) -> None:
    sheet = tmp_path / "s.tsv"
    sheet.write_text("name\tsequence\tcopies\nS1\tACGT\t40\n")
    reads = simulated / "baseline.fastq.gz"
    with pytest.raises(SheetRefused, match=r"s\.tsv, line 2, column 'sequence'"):
        check_sample(make_sample(files=(reads,), spike_ins=sheet))
    with pytest.raises(InputRefused, match=r"none\.tsv: the spike-in sheet cannot be read"):
        check_sample(make_sample(files=(reads,), spike_ins=tmp_path / "none.tsv"))


def test_rearranged_spike_ins_are_recognised_by_their_junction(
    simulated: Path, make_sample: Callable[..., Sample]
) -> None:
    sheet = simulated / "spike_ins.tsv"
    library = read_library(make_sample(files=(simulated / "baseline.fastq.gz",), spike_ins=sheet), SETTINGS)
    middles = [len(s.sequence) // 2 for s in library.spike_ins]
    centres = [s.centre for s in library.spike_ins]
    assert sum(abs(c - m) > 10 for c, m in zip(centres, middles, strict=True)) >= 7


def test_clear_and_unclear_spike_ins_of_a_sheet_keep_their_order(tmp_path: Path) -> None:
    """A rearrangement on either strand, one too mutated to be clear, and two that are none."""
    rng = np.random.default_rng(8)
    plain = recombine(rng, load_germline(), rates=(0.0, 0.01)).read
    mutated = recombine(rng, load_germline(), rates=(0.1, 0.12), indel_share=1.0).read
    none = [rng.choice(np.frombuffer(b"ACGT", dtype=np.uint8), 150).tobytes().decode() for _ in range(2)]
    turned = reverse_complement(plain.encode()).decode()
    given = [none[0], plain, mutated, turned + "A", none[1]]
    sheet = tmp_path / "s.tsv"
    rows = "".join(f"S{i}\t{sequence}\t40\n" for i, sequence in enumerate(given))
    sheet.write_text(f"name\tsequence\tcopies\n{rows}")
    found = read_spike_ins(sheet)
    expected = annotate_sequences(given, load_germline())
    assert [s.name for s in found] == [f"S{i}" for i in range(5)]
    for spike_in, sequence, rearrangement in zip(found, given, expected, strict=True):
        if rearrangement is None:
            assert (spike_in.sequence.decode(), spike_in.centre) == (sequence, 75)
            continue
        coding = reverse_complement(sequence.encode()) if rearrangement.rev_comp else sequence.encode()
        centre = (rearrangement.junction_start + rearrangement.junction_end) // 2
        assert (spike_in.sequence, spike_in.centre) == (coding, centre)


def test_fasta_gives_the_same_library(
    simulated: Path, tmp_path: Path, make_sample: Callable[..., Sample]
) -> None:
    fastq, sheet = simulated / "mrd_1e-3.fastq.gz", simulated / "spike_ins.tsv"
    fasta = tmp_path / "reads.fasta"
    reads = [r.sequence.decode().lower() for r in read_fastq(fastq)]
    fasta.write_text("".join(f">r{i}\r\n{read[:80]}\r\n{read[80:]}\n" for i, read in enumerate(reads)))
    libraries = [read_library(make_sample(files=(f,), spike_ins=sheet), SETTINGS) for f in (fastq, fasta)]
    assert_same_evidence(*libraries)


def test_umis_of_fasta_are_counted_with_bases_of_one_weight(
    tmp_path: Path, make_sample: Callable[..., Sample]
) -> None:
    rng = np.random.default_rng(2)
    read = rng.choice(np.frombuffer(b"ACGT", dtype=np.uint8), 120)
    wrong = read.copy()
    wrong[60] = ord("A") if read[60] != ord("A") else ord("C")
    rows = [("ACGTACGT", read), ("ACGTACGT", read), ("ACGTACGT", wrong), ("TTTTGGGG", read)]
    path = tmp_path / "a.fasta"
    path.write_text("".join(f">r{i}:{umi}\n{one.tobytes().decode()}\n" for i, (umi, one) in enumerate(rows)))
    library = read_library(make_sample(files=(path,)), NgsSettings(umi_source="name", umi_length_nt=8))
    assert library.counted == "molecules"
    assert library.reads.counts.tolist() == [2]
