"""Compiled kernels that write reads as BAM records (SAM 1.6, section 4.2) and as FASTQ."""

from typing import NamedTuple

import numpy as np

from pipeline.variants.simulation.read_kernels import DELETION, Reads
from pipeline.variants.simulation.template_kernels import I64, U8, Int, kernel

__all__ = ["NAME_NT", "RecordContext", "fastq_sizes", "record_sizes", "write_fastq", "write_records"]

NAME_NT = 19  # m, nine digits, strand, seven digits, NUL
_FIXED = 36 + NAME_NT
_TAGS = 4 + 4 + 5 + 4  # NM:C, MQ:C, RG:Z:1, and what MC:Z has around its text
_LETTERS = np.frombuffer(b"ACGTN", np.uint8)
_NIBBLES = np.array([1, 2, 4, 8, 15], np.uint8)
_OPERATIONS = np.frombuffer(b"MIDNSHP=X", np.uint8)
_FLAGS = np.array([[99, 147], [163, 83]])  # [strand][0 = forward mate, 1 = reverse mate]
_COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)


class RecordContext(NamedTuple):
    """What records need beside the reads: ``umis`` (pairs, bases of the RX tag) are codes, 5 is ``-``."""

    contig: int
    origin: int  # of the window of the reference, on the contig
    first_molecule: int
    mapping_quality: I64
    umis: U8


@kernel
def decimal_digits(number: Int) -> Int:
    """How many digits a number from 1 on has."""
    digits = 1
    while number >= 10:
        number //= 10
        digits += 1
    return digits


@kernel
def put(buffer: U8, at: Int, value: Int, size: Int) -> Int:
    """Write a little-endian integer; the position after it."""
    for k in range(size):
        buffer[at + k] = (value >> (8 * k)) & 0xFF
    return at + size


@kernel
def put_digits(buffer: U8, at: Int, value: Int, digits: Int) -> Int:
    """Write a decimal number with leading zeros; the position after it."""
    for k in range(digits - 1, -1, -1):
        buffer[at + k] = 48 + value % 10
        value //= 10
    return at + digits


@kernel
def put_name(buffer: U8, at: Int, reads: Reads, row: Int, first_molecule: Int) -> Int:
    """Write the read's name: molecule, strand (A or B), copy."""
    buffer[at] = 109
    at = put_digits(buffer, at + 1, first_molecule + reads.molecule[row], 9)
    buffer[at] = 65 + reads.strand[row]
    return put_digits(buffer, at + 1, reads.copy[row], 7)


@kernel
def record_sizes(reads: Reads, context: RecordContext, sizes: I64) -> None:
    """Bytes of each row's BAM record."""
    tags = _TAGS + (4 + context.umis.shape[1] if context.umis.shape[1] else 0)
    for row in range(len(reads.length)):
        mate = row ^ 1
        text = 0
        for k in range(reads.operations[mate]):
            text += decimal_digits(reads.cigar[mate, k] >> 4) + 1
        length = reads.length[row]
        sizes[row] = _FIXED + 4 * reads.operations[row] + (length + 1) // 2 + length + tags + text


@kernel
def reference_end(reads: Reads, row: Int) -> Int:
    """Position after the last aligned base, in the window."""
    end = reads.position[row]
    for k in range(reads.operations[row]):
        operation = reads.cigar[row, k] & 0xF
        if operation in (0, DELETION):
            end += reads.cigar[row, k] >> 4
    return end


@kernel
def bin_of(start: Int, end: Int) -> Int:
    """Bin of the BAI index (SAM 1.6, section 5.3)."""
    end -= 1
    for shift, first in ((14, 4681), (17, 585), (20, 73), (23, 9), (26, 1)):
        if start >> shift == end >> shift:
            return first + (start >> shift)
    return 0


@kernel
def write_record(buffer: U8, at: Int, size: Int, reads: Reads, row: Int, context: RecordContext) -> None:
    """Write one record; fields in the order of the format."""
    mate, reverse, length = row ^ 1, row & 1, reads.length[row]
    position = context.origin + reads.position[row]
    end = context.origin + reference_end(reads, row)
    mate_position = context.origin + reads.position[mate]
    left = min(position, mate_position)
    right = max(end, context.origin + reference_end(reads, mate))
    quality = context.mapping_quality[reads.molecule[row]]
    at = put(buffer, at, size - 4, 4)
    at = put(buffer, at, context.contig, 4)
    at = put(buffer, at, position, 4)
    at = put(buffer, at, NAME_NT, 1)
    at = put(buffer, at, quality, 1)
    at = put(buffer, at, bin_of(position, end), 2)
    at = put(buffer, at, reads.operations[row], 2)
    at = put(buffer, at, _FLAGS[reads.strand[row], reverse], 2)
    at = put(buffer, at, length, 4)
    at = put(buffer, at, context.contig, 4)
    at = put(buffer, at, mate_position, 4)
    at = put(buffer, at, (left - right) if reverse else (right - left), 4)
    at = put_name(buffer, at, reads, row, context.first_molecule)
    at = put(buffer, at, 0, 1)
    for k in range(reads.operations[row]):
        at = put(buffer, at, reads.cigar[row, k], 4)
    for i in range(0, length, 2):
        low = _NIBBLES[reads.bases[row, i + 1]] if i + 1 < length else 0
        buffer[at] = _NIBBLES[reads.bases[row, i]] << 4 | low
        at += 1
    buffer[at : at + length] = reads.qualities[row, :length]
    write_tags(buffer, at + length, reads, row, quality, context.umis)


@kernel
def write_tags(buffer: U8, at: Int, reads: Reads, row: Int, quality: Int, umis: U8) -> None:
    """Write NM, MQ, RG, MC and, where there are UMIs, RX."""
    mate = row ^ 1
    at = put(buffer, at, 0x434D4E, 3)  # NMC
    at = put(buffer, at, min(reads.edits[row], 255), 1)
    at = put(buffer, at, 0x43514D, 3)  # MQC
    at = put(buffer, at, quality, 1)
    at = put(buffer, at, 0x5A4752, 3)  # RGZ
    at = put(buffer, at, 49, 2)
    at = put(buffer, at, 0x5A434D, 3)  # MCZ
    for k in range(reads.operations[mate]):
        run = reads.cigar[mate, k] >> 4
        at = put_digits(buffer, at, run, decimal_digits(run))
        buffer[at] = _OPERATIONS[reads.cigar[mate, k] & 0xF]
        at += 1
    at = put(buffer, at, 0, 1)
    if umis.shape[1]:
        at = put(buffer, at, 0x5A5852, 3)  # RXZ
        for k in range(umis.shape[1]):
            code = umis[row >> 1, k]
            buffer[at] = 45 if code == 5 else _LETTERS[code]
            at += 1
        put(buffer, at, 0, 1)


@kernel
def write_records(reads: Reads, context: RecordContext, sizes: I64, offsets: I64, buffer: U8) -> None:
    """Write every row's record at its offset."""
    for row in range(len(sizes)):
        write_record(buffer, offsets[row], sizes[row], reads, row, context)


@kernel
def gather(buffer: U8, offsets: I64, sizes: I64, order: I64, out: U8) -> None:
    """Copy pieces of a buffer one behind the other, in that order."""
    at = 0
    for k in order:
        out[at : at + sizes[k]] = buffer[offsets[k] : offsets[k] + sizes[k]]
        at += sizes[k]


@kernel
def fastq_sizes(reads: Reads, mate: Int, header: Int, prefix: Int, sizes: I64) -> None:
    """Bytes of each pair's record in the file of first (0) or second (1) mates."""
    for pair in range(len(sizes)):
        row = 2 * pair + (mate ^ reads.strand[2 * pair])
        sizes[pair] = NAME_NT + header + 2 * (reads.length[row] + prefix) + 5


@kernel
def write_fastq(
    reads: Reads, mate: Int, header: U8, prefix: U8, first_molecule: Int, offsets: I64, buffer: U8
) -> None:
    """Write each pair's first or second mate as it was read.

    ``header`` (pairs, letters) follows the name, ``prefix`` (pairs, codes) stands before the bases.
    """
    for pair in range(len(offsets)):
        row = 2 * pair + (mate ^ reads.strand[2 * pair])
        at, length, reverse = offsets[pair], reads.length[row], row & 1
        buffer[at] = 64
        at = put_name(buffer, at + 1, reads, row, first_molecule)
        for k in range(header.shape[1]):
            buffer[at + k] = header[pair, k]
        at += header.shape[1]
        buffer[at] = 10
        at += 1
        for k in range(prefix.shape[1]):
            buffer[at + k] = _LETTERS[prefix[pair, k]]
        at += prefix.shape[1]
        for i in range(length):
            code = _COMPLEMENT[reads.bases[row, length - 1 - i]] if reverse else reads.bases[row, i]
            buffer[at + i] = _LETTERS[code]
        at += length
        buffer[at], buffer[at + 1], buffer[at + 2] = 10, 43, 10
        at += 3
        buffer[at : at + prefix.shape[1]] = 33 + 37
        at += prefix.shape[1]
        for i in range(length):
            buffer[at + i] = 33 + (
                reads.qualities[row, length - 1 - i] if reverse else reads.qualities[row, i]
            )
        buffer[at + length] = 10
