"""Rule sets: versioned tables of what is, is not and may be a driver.

A set is a tab-separated file. Lines ``# key: value`` before the column names say what it is:
``id``, ``version``, ``date``, ``title``, ``citation``, ``genome``, ``licence``, and where wanted
``include`` (sets whose rules are read before its own) and ``second_opinion`` (a set that is asked
where this one says OUT for want of a rule). Rules are written in residues; exon numbers mean
another place in every transcript.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from chip.rules.genes import symbol
from pipeline.errors import ConfigRefused, Problem, SheetRefused, UsageError, printable

__all__ = [
    "Mechanism",
    "Rule",
    "RuleSet",
    "Verdict",
    "load_rule_set",
    "rule_set_files",
    "second_opinion_of",
    "shipped_rule_sets",
    "windows_by_gene",
]

_KEYS = ("id", "version", "date", "title", "citation", "genome", "licence")
_OPTIONAL_KEYS = ("include", "second_opinion")
_COLUMNS = (
    "rule_id", "gene", "mechanism", "aa_start", "aa_end", "residues", "allowed_changes", "verdict",
    "caution_code", "citation", "note",
)  # fmt: skip
_SIZE_MAX_BYTES = 8 << 20
_PARTS = ("cautions", "germline")  # included by others, no sets of their own


class Verdict(StrEnum):
    """What a rule set says of a change."""

    IN = "IN"
    OUT = "OUT"
    REVIEW = "REVIEW"


class Mechanism(StrEnum):
    """How a rule tells a driver."""

    ARTEFACT = "artefact"
    GERMLINE_BLOCK = "germline_block"
    HOTSPOT = "hotspot"
    INFRAME_LIST = "inframe_list"
    MISSENSE_WINDOW = "missense_window"
    TRUNC_WINDOW = "trunc_window"
    LOF = "lof"
    SPLICE = "splice"

    @property
    def is_exact(self) -> bool:
        """Whether its rules name a residue and its changes."""
        return self in (Mechanism.ARTEFACT, Mechanism.GERMLINE_BLOCK, Mechanism.HOTSPOT)

    @property
    def is_window(self) -> bool:
        """Whether its rules name a stretch of residues."""
        return self in (Mechanism.INFRAME_LIST, Mechanism.MISSENSE_WINDOW, Mechanism.TRUNC_WINDOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of a rule set.

    ``aa_start`` to ``aa_end`` are 1-based residues, both included (None for a whole gene), ``residue``
    is the reference residue of an exact rule, ``allowed`` its changes: one-letter residues, ``*``, or
    ``fs``. ``line`` is where it stands in ``source``.
    """

    rule_id: str
    gene: str
    mechanism: Mechanism
    aa_start: int | None
    aa_end: int | None
    residue: str
    allowed: frozenset[str]
    verdict: Verdict
    caution: str
    citation: str
    note: str
    source: str
    line: int


@dataclass(frozen=True, kw_only=True)
class RuleSet:
    """A rule set with the rules of those it includes, which come first.

    ``second_opinion`` is the name of a set, empty for none.
    """

    id: str
    version: str
    date: str
    title: str
    citation: str
    genome: str
    licence: str
    second_opinion: str
    rules: tuple[Rule, ...]
    path: Path
    included: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Id and version, as every call names them."""
        return f"{self.id} {self.version}"

    @cached_property
    def by_gene(self) -> dict[str, tuple[Rule, ...]]:
        """Rules of each gene in their order."""
        found: dict[str, list[Rule]] = {}
        for rule in self.rules:
            found.setdefault(rule.gene, []).append(rule)
        return {gene: tuple(rules) for gene, rules in found.items()}

    @cached_property
    def listed_ids(self) -> frozenset[str]:
        """Names of rules that list a residue."""
        return frozenset(r.rule_id for r in self.rules if r.mechanism is Mechanism.HOTSPOT)

    @cached_property
    def own_genes(self) -> frozenset[str]:
        """Genes for which the set itself, not one it includes, has rules."""
        return frozenset(rule.gene for rule in self.rules if rule.source == self.id)


def shipped_rule_sets() -> tuple[str, ...]:
    """Names of the sets that ship, without the parts that they include.

    >>> shipped_rule_sets()
    ('site_template', 'strict_core', 'topmed_2022')
    """
    return tuple(sorted(p.stem for p in _shipped_folder().glob("*.tsv") if p.stem not in (*_PARTS, "genes")))


def load_rule_set(name_or_path: str | Path) -> RuleSet:
    """Read a set that ships (``topmed_2022`` ...) by its name, a table, or the one set of a folder.

    In a folder the set is the table that no other one there includes or asks. A set that it names is
    looked for beside it, then among those that ship.

    Raises
    ------
    UsageError
        If it is none of these.
    ConfigRefused, SheetRefused
        If a file cannot be read, lacks a part of its header, or holds a rule that cannot be.
    """
    path = _set_path(name_or_path)
    head, rules = _read_file(path)
    own = _rules_of(path, head, rules)
    included: list[Rule] = []
    paths: list[Path] = []
    for name in _names(head.get("include", "")):
        part = _beside(path, name)
        part_head, part_rows = _read_file(part)
        included += _rules_of(part, part_head, part_rows)
        paths.append(part)
    return RuleSet(
        **{key: head[key] for key in _KEYS},
        second_opinion=head.get("second_opinion", ""),
        rules=(*included, *own),
        path=path,
        included=tuple(paths),
    )


def second_opinion_of(rule_set: RuleSet) -> RuleSet | None:
    """The set that is asked where this one has no rule."""
    if not rule_set.second_opinion:
        return None
    return load_rule_set(_beside(rule_set.path, rule_set.second_opinion))


def windows_by_gene(rule_set: RuleSet) -> dict[str, list[tuple[int, int]]]:
    """First and last residue of every window that says IN, by gene."""
    found: dict[str, list[tuple[int, int]]] = {}
    for rule in rule_set.rules:
        is_in = rule.mechanism.is_window and rule.verdict is Verdict.IN
        if is_in and rule.aa_start is not None and rule.aa_end is not None:
            found.setdefault(rule.gene, []).append((rule.aa_start, rule.aa_end))
    return found


def rule_set_files(name_or_path: str | Path) -> tuple[Path, ...]:
    """Every table that may say something where a set decides: its own, those beside it, all that ship.

    Raises
    ------
    UsageError, ConfigRefused
        If there is no such set.
    """
    own = _set_path(name_or_path)
    beside = [*own.parent.glob("*.tsv"), *_shipped_folder().glob("*.tsv")]
    return tuple(dict.fromkeys([own, *sorted(beside)]))


def _shipped_folder() -> Path:
    return Path(str(files("nadir_configs"))) / "chip_rules"


def _set_path(name_or_path: str | Path) -> Path:
    if str(name_or_path) in shipped_rule_sets():
        return _shipped_folder() / f"{name_or_path}.tsv"
    path = Path(name_or_path)
    if path.is_dir():
        return _set_of_folder(path)
    if path.suffix == ".tsv":
        return path
    raise UsageError(
        f"no rule set of that name. There are: {', '.join(shipped_rule_sets())}; "
        "or give a table that ends in .tsv, or a folder with one"
    )


def _set_of_folder(folder: Path) -> Path:
    heads = {path: _read_file(path)[0] for path in sorted(folder.glob("*.tsv"))}
    asked = {name for h in heads.values() for key in _OPTIONAL_KEYS for name in _names(h.get(key, ""))}
    free = [path for path in heads if path.stem not in asked]
    if len(free) != 1:
        names = ", ".join(printable(path.name) for path in free) or "none"
        raise ConfigRefused(
            f"holds no one rule set that no other includes (found: {names})",
            path=folder,
            remedy="name the table itself",
        )
    return free[0]


def _beside(path: Path, name: str) -> Path:
    """The file of a set that another one names; a name is no path."""
    if not name.replace("_", "").replace("-", "").isalnum():
        raise ConfigRefused("names a set by more than letters, digits, '-' and '_'", path=path)
    near = path.parent / f"{name}.tsv"
    shipped = _shipped_folder() / f"{name}.tsv"
    if near.is_file():
        return near
    if shipped.is_file():
        return shipped
    raise ConfigRefused(f"names the rule set '{name}', which is neither beside it nor ships", path=path)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _read_file(path: Path) -> tuple[dict[str, str], list[tuple[int, list[str]]]]:
    """Header values and rows with their line numbers, column names first."""
    try:
        data = path.read_bytes()
        text = data[:_SIZE_MAX_BYTES].decode("utf-8-sig")
    except OSError as error:
        raise ConfigRefused(f"cannot be read ({error.strerror})", path=path) from error
    except UnicodeDecodeError as error:
        raise ConfigRefused("is not text in UTF-8", path=path) from error
    head: dict[str, str] = {}
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("#"):
            key, _, value = line.lstrip("# ").partition(":")
            head[key.strip()] = value.strip()
        elif line.strip():
            rows.append((number, [cell.strip() for cell in line.split("\t")]))
    missing = [key for key in _KEYS if not head.get(key)]
    if missing:
        raise ConfigRefused(
            f"its header lacks {', '.join(missing)}",
            path=path,
            expected="lines '# key: value' before the column names",
            remedy="copy the header of configs/chip_rules/site_template.tsv",
        )
    if not rows or tuple(rows[0][1]) != _COLUMNS:
        raise ConfigRefused("lacks the line of column names", path=path, expected=", ".join(_COLUMNS))
    return head, rows


def _rules_of(path: Path, head: dict[str, str], rows: list[tuple[int, list[str]]]) -> list[Rule]:
    found = [_rule(cells, head["id"], line) for line, cells in rows[1:]]
    problems = [item for item in found if isinstance(item, Problem)]
    if problems:
        raise SheetRefused(path, problems)
    return [item for item in found if isinstance(item, Rule)]


def _rule(cells: list[str], source: str, line: int) -> Rule | Problem:
    def problem(column: str | None, cause: str, remedy: str) -> Problem:
        return Problem(line=line, column=column, code="rule_impossible", cause=cause, remedy=remedy)

    cells = cells + [""] * (len(_COLUMNS) - len(cells))
    if len(cells) > len(_COLUMNS):
        return problem(None, f"{len(cells)} cells under {len(_COLUMNS)} column names", "remove the excess")
    row = dict(zip(_COLUMNS, cells, strict=True))
    for column, known in (("mechanism", tuple(Mechanism)), ("verdict", tuple(Verdict))):
        if row[column] not in known:
            return problem(column, f"is no {column}", f"use one of {', '.join(known)}")
    for column in ("aa_start", "aa_end"):
        if row[column] and not (row[column].isascii() and row[column].isdigit()):
            return problem(column, "is no residue number", "write a whole number, or nothing for a gene")
    return Rule(
        rule_id=row["rule_id"],
        gene=symbol(row["gene"]),
        mechanism=Mechanism(row["mechanism"]),
        aa_start=int(row["aa_start"]) if row["aa_start"] else None,
        aa_end=int(row["aa_end"]) if row["aa_end"] else None,
        residue=row["residues"],
        allowed=frozenset(_names(row["allowed_changes"])),
        verdict=Verdict(row["verdict"]),
        caution=row["caution_code"],
        citation=row["citation"],
        note=row["note"],
        source=source,
        line=line,
    )
