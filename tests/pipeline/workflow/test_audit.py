"""The audit chain shows every change to it."""

import json

import pytest

from pipeline.errors import DamagedFile
from pipeline.workflow.audit import append_audit, read_audit


@pytest.fixture
def chain(tmp_path):
    path = tmp_path / "audit.jsonl"
    for number in range(4):
        append_audit(path, "run", {"plan": str(number)})
    return path


def test_entries_come_back_in_order(chain):
    assert [e["plan"] for e in read_audit(chain)] == ["0", "1", "2", "3"]


def test_any_changed_byte_is_found(chain):
    whole = chain.read_bytes()
    for position in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[position] ^= 1
        chain.write_bytes(bytes(changed))
        with pytest.raises(DamagedFile, match="audit"):
            read_audit(chain)


@pytest.mark.parametrize("lines", [[0, 2, 3], [1, 2, 3], [0, 2, 1, 3], [0, 0, 1, 2, 3]])
def test_removed_reordered_and_repeated_lines_are_found(chain, lines):
    all_lines = chain.read_text().splitlines(keepends=True)
    chain.write_text("".join(all_lines[i] for i in lines))
    with pytest.raises(DamagedFile, match="chain is broken here"):
        read_audit(chain)


def test_forged_entry_with_a_right_hash_of_its_own_is_found_by_the_next(chain):
    import hashlib

    entries = [json.loads(line) for line in chain.read_text().splitlines()]
    entries[1]["plan"] = "forged"
    body = {k: v for k, v in entries[1].items() if k != "sha256"}
    entries[1]["sha256"] = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    chain.write_text("".join(json.dumps(e, sort_keys=True) + "\n" for e in entries))
    with pytest.raises(DamagedFile, match="line 3: the audit chain is broken here"):
        read_audit(chain)


def test_nothing_is_appended_to_a_broken_chain(chain):
    chain.write_text(chain.read_text()[:-9])
    with pytest.raises(DamagedFile, match="not an audit entry"):
        append_audit(chain, "run", {})
