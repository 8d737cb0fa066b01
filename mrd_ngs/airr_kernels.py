"""Compiled writer of AIRR Rearrangement rows: result rows in, bytes of a table out.

It reads the columns of `mrd_ngs.annotate_kernels`, whose numbers are frozen into it, and
calls none of its functions.
"""

import numpy as np

from mrd_ngs.annotate_kernels import (
    COMPLETE,
    D_COLUMNS,
    D_END,
    D_MATCHES,
    D_SCORE,
    D_START,
    D_TIES,
    DG_END,
    DG_START,
    FRAMESHIFT,
    I32,
    I64,
    IN_FRAME,
    J_COLUMNS,
    J_END,
    J_MATCHES,
    J_SCORE,
    J_START,
    J_STEPS,
    J_TIES,
    JG_END,
    JG_START,
    JUNCTION_END,
    JUNCTION_START,
    KIND,
    LOCUS,
    NONE,
    OFFSET,
    PRODUCTIVE,
    REV,
    STEP_DELETION,
    STEP_INSERTION,
    STOP,
    TRP,
    U8,
    V_COLUMNS,
    V_END,
    V_MATCHES,
    V_SCORE,
    V_START,
    V_STEPS,
    V_TIES,
    VG_END,
    VG_START,
    Int,
    integer,
    kernel,
)

_TAB, _NEWLINE, _DASH, _COMMA, _POINT, _N = (ord(c) for c in "\t\n-,.N")
_S, _I, _D, _EQUAL, _X, _T, _F = (ord(c) for c in "SID=XTF")
_BASES = np.frombuffer(b"ACGTN", dtype=np.uint8)
_LOCI = np.frombuffer(b"IGH\tIGK\tIGL\t", dtype=np.uint8).reshape(3, 4)
_AMINO_ACIDS = np.frombuffer(
    b"KNKNTTTTRSRSIIMIQHQHPPPPRRRRLLLLEDEDAAAAGGGGVVVV*Y*YSSSS*CWCLFLF", dtype=np.uint8
)  # by 16 * first + 4 * second + third base, A C G T


@kernel
def put(out: U8, at: Int, text: U8) -> Int:
    """Copy bytes."""
    for i in range(len(text)):
        out[at + i] = text[i]
    return at + len(text)


@kernel
def put_bases(out: U8, at: Int, codes: U8, begin: Int, end: Int) -> Int:
    """Write the bases of codes [begin, end)."""
    for i in range(begin, end):
        out[at + i - begin] = _BASES[codes[i]]
    return at + max(0, end - begin)


@kernel
def put_number(out: U8, at: Int, value: Int) -> Int:
    """Write an integer."""
    if value < 0:
        out[at] = _DASH
        at += 1
        value = -value
    digits = 1
    ceiling = 10
    while value >= ceiling:
        digits += 1
        ceiling *= 10
    for i in range(digits - 1, -1, -1):
        out[at + i] = 48 + value % 10
        value //= 10
    return at + digits


@kernel
def put_ratio(out: U8, at: Int, part: Int, whole: Int) -> Int:
    """Write part / whole with five decimals, rounded half up."""
    if whole <= 0:
        return at
    scaled = (200_000 * part + whole) // (2 * whole)
    at = put_number(out, at, scaled // 100_000)
    out[at] = _POINT
    scaled %= 100_000
    for i in range(5, 0, -1):
        out[at + i] = 48 + scaled % 10
        scaled //= 10
    return at + 6


@kernel
def put_truth(out: U8, at: Int, value: Int) -> Int:
    """Write T, F or nothing, and a tab."""
    if value >= 0:
        out[at] = _T if value else _F
        at += 1
    out[at] = _TAB
    return at + 1


@kernel
def put_calls(out: U8, at: Int, ties: I32, many: Int, names: U8, name_offsets: I64) -> Int:
    """Write tied alleles, separated by commas, and a tab."""
    for x in range(many):
        if x:
            out[at] = _COMMA
            at += 1
        at = put(out, at, names[name_offsets[ties[x]] : name_offsets[ties[x] + 1]])
    out[at] = _TAB
    return at + 1


@kernel
def put_runs(out: U8, at: Int, read: U8, i: Int, gene: U8, j: Int, length: Int) -> Int:
    """CIGAR of ``length`` aligned pairs, matches and mismatches told apart."""
    x = 0
    while x < length:
        same = read[i + x] == gene[j + x]
        begin = x
        while x < length and (read[i + x] == gene[j + x]) == same:
            x += 1
        at = put_number(out, at, x - begin)
        out[at] = _EQUAL if same else _X
        at += 1
    return at


@kernel
def put_clip(out: U8, at: Int, length: Int, letter: Int) -> Int:
    """A clipped or skipped end of a CIGAR, if it has any length."""
    if length > 0:
        at = put_number(out, at, length)
        out[at] = letter
        at += 1
    return at


@kernel
def put_scores(out: U8, at: Int, score: Int, matches: Int, columns: Int) -> Int:
    """Score and identity, each with a tab."""
    if columns > 0:
        at = put_number(out, at, score)
    out[at] = _TAB
    at += 1
    at = put_ratio(out, at, matches, columns)
    out[at] = _TAB
    return at + 1


@kernel
def put_cigar(out: U8, at: Int, read: U8, i: Int, gene: U8, j: Int, steps: I64, many: Int) -> Int:
    """CIGAR of one segment, and a tab; nothing without steps."""
    if many > 0:
        at = put_clip(out, at, i, integer(_S))
        at = put_clip(out, at, j, integer(_N))
        for x in range(many):
            length = steps[x] >> 2
            if steps[x] & 3 == STEP_INSERTION:
                at = put_clip(out, at, length, integer(_I))
                i += length
            elif steps[x] & 3 == STEP_DELETION:
                at = put_clip(out, at, length, integer(_D))
                j += length
            else:
                at = put_runs(out, at, read, i, gene, j, length)
                i += length
                j += length
        at = put_clip(out, at, len(read) - i, integer(_S))
    out[at] = _TAB
    return at + 1


@kernel
def put_gapped(out: U8, at: Int, codes: U8, i: Int, steps: I64, many: Int, gap: Int) -> Int:
    """One side of a segment's alignment: its bases, and dashes for the steps ``gap`` that have none."""
    for x in range(many):
        length = steps[x] >> 2
        if steps[x] & 3 == gap:
            for k in range(length):
                out[at + k] = _DASH
            at += length
        else:
            at = put_bases(out, at, codes, i, i + length)
            i += length
    return at


@kernel
def put_places(
    out: U8, at: Int, start: Int, end: Int, gene_start: Int, gene_end: Int, column: Int, columns: Int
) -> Int:
    """Six coordinates, 1-based closed, each with a tab; ``column`` is where the alignment has it."""
    for x in range(6):
        if end > start:
            value = (start + 1, end, gene_start + 1, gene_end, column + 1, column + columns)[x]
            at = put_number(out, at, value)
        out[at] = _TAB
        at += 1
    return at


@kernel
def read_place(row: I64, steps: I64, gene_place: Int) -> Int:
    """The read base where V's germline reaches ``gene_place``; V's start or end outside the alignment."""
    if gene_place <= row[VG_START]:
        return row[V_START]
    read = row[V_START]
    gene = row[VG_START]
    for x in range(row[V_STEPS]):
        length = steps[x] >> 2
        kind = steps[x] & 3
        if kind == STEP_INSERTION:
            read += length
        elif kind == STEP_DELETION:
            gene += length
            if gene >= gene_place:
                return read
        else:
            if gene + length >= gene_place:
                return read + gene_place - gene
            read += length
            gene += length
    return read


@kernel
def write_rows(
    out: U8, at: Int, ids: U8, id_offsets: I64, codes: U8, offsets: I64, rows: I64, v_ties: I32, d_ties: I32,
    j_ties: I32, steps: I64, j_steps: I64, v_codes: U8, v_table: I64, v_names: U8, v_name_offsets: I64,
    regions: I64,
    d_codes: U8, d_table: I64, d_names: U8, d_name_offsets: I64, j_codes: U8, j_table: I64, j_names: U8,
    j_name_offsets: I64, database: U8,
) -> Int:  # fmt: skip
    """Write every read that has a rearrangement as one line; returns the end of what was written."""
    d_step = np.zeros(1, dtype=np.int64)
    for r in range(len(offsets) - 1):
        row = rows[r]
        if row[KIND] == NONE:
            continue
        read = codes[offsets[r] : offsets[r + 1]]
        has_v = row[V_TIES] > 0
        has_d = row[D_TIES] > 0
        has_j = row[J_TIES] > 0
        v_gene = v_codes[v_table[v_ties[r, 0], OFFSET] :]
        d_gene = d_codes[d_table[d_ties[r, 0], OFFSET] :] if has_d else v_gene
        j_gene = j_codes[j_table[j_ties[r, 0], OFFSET] :]
        at = put(out, at, ids[id_offsets[r] : id_offsets[r + 1]])
        out[at] = _TAB
        at = put_bases(out, at + 1, read, integer(0), len(read))
        out[at] = _TAB
        at = put_truth(out, at + 1, row[REV])
        at = put_truth(out, at, row[PRODUCTIVE])
        at = put_truth(out, at, row[IN_FRAME])
        at = put_truth(out, at, row[STOP])
        at = put_truth(out, at, row[FRAMESHIFT])
        at = put_truth(out, at, row[COMPLETE])
        for x in range(4):
            out[at + x] = _LOCI[row[LOCUS], x]
        at += 4
        at = put_calls(out, at, v_ties[r], row[V_TIES], v_names, v_name_offsets)
        at = put_calls(out, at, d_ties[r], row[D_TIES], d_names, d_name_offsets)
        at = put_calls(out, at, j_ties[r], row[J_TIES], j_names, j_name_offsets)

        # sequence_alignment, germline_alignment
        between = row[D_START] if has_d else row[J_START]
        v_columns = row[V_COLUMNS] if has_v else 0
        np1 = between - row[V_END] if has_v and (has_d or has_j) else 0
        d_columns = row[D_COLUMNS] if has_d else 0
        np2 = row[J_START] - row[D_END] if has_d and has_j else 0
        unknown = 0
        for k in range(max(0, row[V_START]), row[V_END]):
            unknown += read[k] > 3
        at = put_gapped(out, at, read, row[V_START], steps[r], row[V_STEPS], integer(STEP_DELETION))
        begin = row[V_END] if has_v else row[D_START]
        if has_j:
            at = put_bases(out, at, read, begin, row[J_START])
        at = put_gapped(out, at, read, row[J_START], j_steps[r], row[J_STEPS], integer(STEP_DELETION))
        out[at] = _TAB
        at += 1
        at = put_gapped(out, at, v_gene, row[VG_START], steps[r], row[V_STEPS], integer(STEP_INSERTION))
        for _ in range(np1):
            out[at] = _N
            at += 1
        if has_d:
            at = put_bases(out, at, d_gene, row[DG_START], row[DG_END])
        for _ in range(np2):
            out[at] = _N
            at += 1
        at = put_gapped(out, at, j_gene, row[JG_START], j_steps[r], row[J_STEPS], integer(STEP_INSERTION))
        out[at] = _TAB
        at += 1

        # junction, junction_aa, np1, np2
        start = row[JUNCTION_START]
        end = row[JUNCTION_END]
        at = put_bases(out, at, read, start, end)
        out[at] = _TAB
        at += 1
        for k in range(start, end - 2, 3):
            if start < 0:
                break
            if read[k] > 3 or read[k + 1] > 3 or read[k + 2] > 3:
                out[at] = _X
            else:
                out[at] = _AMINO_ACIDS[16 * read[k] + 4 * read[k + 1] + read[k + 2]]
            at += 1
        out[at] = _TAB
        at += 1
        at = put_bases(out, at, read, row[V_END], row[V_END] + np1)
        out[at] = _TAB
        at += 1
        at = put_bases(out, at, read, row[D_END], row[D_END] + np2)
        out[at] = _TAB
        at += 1

        # fwr1 cdr1 fwr2 cdr2 fwr3 cdr3 fwr4
        previous = row[V_START]
        for x in range(5):
            border = regions[v_ties[r, 0], x] if has_v else -1
            if border > row[VG_START]:
                place = min(read_place(row, steps[r], border), row[V_END])
                if x == 4 and start >= 0:
                    place = start + 3  # also where the alignment stops before a mutated Cys104
                at = put_bases(out, at, read, previous, place)
                previous = max(previous, place)
            out[at] = _TAB
            at += 1
        at = put_bases(out, at, read, start + 3, end - 3)
        out[at] = _TAB
        at += 1
        if start >= 0:
            at = put_bases(out, at, read, row[TRP], row[J_END])
        out[at] = _TAB
        at += 1

        # scores, identities, CIGARs
        at = put_scores(out, at, row[V_SCORE], row[V_MATCHES], v_columns - unknown)
        at = put_cigar(out, at, read, row[V_START], v_gene, row[VG_START], steps[r], row[V_STEPS])
        at = put_scores(out, at, row[D_SCORE], row[D_MATCHES], d_columns)
        d_step[0] = d_columns << 2
        at = put_cigar(out, at, read, row[D_START], d_gene, row[DG_START], d_step, 1 if has_d else 0)
        at = put_scores(out, at, row[J_SCORE], row[J_MATCHES], row[J_COLUMNS] if has_j else 0)
        at = put_cigar(out, at, read, row[J_START], j_gene, row[JG_START], j_steps[r], row[J_STEPS])

        # coordinates
        at = put_places(out, at, row[V_START], row[V_END], row[VG_START], row[VG_END], integer(0), v_columns)
        at = put_places(
            out, at, row[D_START], row[D_END], row[DG_START], row[DG_END], v_columns + np1, d_columns
        )
        before_j = v_columns + np1 + d_columns + np2
        at = put_places(
            out, at, row[J_START], row[J_END], row[JG_START], row[JG_END], before_j, row[J_COLUMNS]
        )

        # lengths, germline_database
        if start >= 0:
            at = put_number(out, at, end - start)
        out[at] = _TAB
        at += 1
        if start >= 0:
            at = put_number(out, at, (end - start) // 3)
        out[at] = _TAB
        at += 1
        if has_v and (has_d or has_j):
            at = put_number(out, at, np1)
        out[at] = _TAB
        at += 1
        if has_d and has_j:
            at = put_number(out, at, np2)
        out[at] = _TAB
        at = put(out, at + 1, database)
        out[at] = _NEWLINE
        at += 1
    return at
