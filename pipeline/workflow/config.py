"""A batch's configuration: TOML in, typed and checked values out.

Whatever the file leaves out has its default from ``configs/default.toml`` (the study)
or from the assay's settings dataclass. An unknown key is refused: a misspelt threshold
must not be a silent default.
"""

import dataclasses
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

from pipeline.errors import ConfigRefused, UsageError, printable
from pipeline.formats.digest import sha256_bytes
from pipeline.formats.shipped import shipped_config, shipped_names
from pipeline.model import Assay, is_identifier

__all__ = [
    "ClinicalTables",
    "Config",
    "StudyTimepoint",
    "load_config",
    "settings_from_json",
    "settings_types",
    "shipped_panels",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTimepoint:
    """A visit of the study: its code, its name for people, its nominal window in words."""

    code: str
    label: str = ""
    window: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicalTables:
    """Paths of the clinical tables, where there are any."""

    labs: Path | None = None
    baseline: Path | None = None
    treatment: Path | None = None
    adverse_events: Path | None = None
    outcome: Path | None = None
    imaging: Path | None = None
    fish: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A checked configuration.

    ``timepoints`` are in order; ``baseline`` is the code of the one in which clones are
    looked for. ``thresholds`` are fractions of nucleated cells, the first for headlines.
    ``sha256`` is that of the file's bytes.
    """

    study_id: str
    title: str
    timepoints: tuple[StudyTimepoint, ...]
    baseline: str
    thresholds: tuple[float, ...]
    clinical: ClinicalTables = field(default_factory=ClinicalTables)
    settings: Mapping[Assay, Any]
    path: Path | None
    sha256: str

    @property
    def timepoint_codes(self) -> tuple[str, ...]:
        """Codes of the time points, in order."""
        return tuple(t.code for t in self.timepoints)

    def settings_for(self, assay: Assay) -> Any:
        """The run choices of one assay.

        Raises
        ------
        UsageError
            If nadir has no such assay yet.
        """
        if assay not in self.settings:
            raise UsageError(f"assay '{assay}' has no settings yet")
        return self.settings[assay]


def settings_types() -> dict[Assay, type]:
    """The settings dataclass of every assay that can be run."""
    from mrd_flow.evidence import FlowSettings
    from mrd_ngs.evidence import NgsSettings

    return {Assay.NGS: NgsSettings, Assay.FLOW: FlowSettings}


def shipped_panels() -> dict[str, int]:
    """Names of the flow panels that ship, and how many tubes each has.

    >>> shipped_panels()["euroflow"]
    2
    """
    names = shipped_names("panels")
    return {name: len(_tables(shipped_config(name, "panels"))[0]["tubes"]) for name in names}


def load_config(path: Path | None = None, *, assays: Mapping[Assay, type] | None = None) -> Config:
    """Read a configuration, or the default one.

    Parameters
    ----------
    path
        A TOML file; None for ``configs/default.toml``. Paths inside are relative to it.
    assays
        The settings dataclass of each assay's table; by default `settings_types`.

    Raises
    ------
    ConfigRefused
        If the file cannot be read, is no TOML (with line and column), or has an unknown
        key, an impossible value or a clinical table that is not there; every such key is
        named.

    Examples
    --------
    >>> load_config().timepoint_codes
    ('BASE', 'DRD1', 'IND', 'PBSC', 'ASCT', 'CONS', 'MNT1Y', 'MNT2Y')
    """
    default = _tables(shipped_config("default"))[0]
    source = shipped_config("default") if path is None else Path(path)
    tables, digest = _tables(source)
    types = settings_types() if assays is None else assays
    reader = _Reader(source)
    known = ("study", "clinical", *types)
    reader.only(tables, known, "")
    study = {**default["study"], **reader.table(tables, "study")}
    reader.only(study, ("id", "title", "timepoints", "baseline", "thresholds"), "study.")
    timepoints = reader.timepoints(study["timepoints"])
    settings = {
        assay: reader.record(t, reader.table(tables, assay), f"{assay}.") for assay, t in types.items()
    }
    clinical = reader.clinical(reader.table(tables, "clinical"))
    study_id = reader.text(study["id"], "study.id", identifier=True)
    title = reader.text(study.get("title", study["id"]), "study.title")
    baseline = reader.text(study.get("baseline", ""), "study.baseline")
    if "baseline" not in reader.table(tables, "study") and timepoints:
        baseline = timepoints[0].code
    if timepoints and baseline not in {t.code for t in timepoints}:
        reader.refuse("study.baseline", "is none of the time points")
    thresholds = reader.thresholds(study["thresholds"])
    reader.raise_if_refused()
    return Config(
        study_id=study_id,
        title=title,
        timepoints=timepoints,
        baseline=baseline,
        thresholds=thresholds,
        clinical=clinical,
        settings=settings,
        path=None if path is None else source.resolve(),
        sha256=digest,
    )


def settings_from_json(assay: Assay, values: Mapping[str, Any]) -> Any:
    """An assay's settings from a task's parameters.

    Raises
    ------
    ConfigRefused
        If they are not its settings.
    """
    reader = _Reader(Path("task.json"))
    settings = reader.record(settings_types()[assay], dict(values), f"{assay}.")
    reader.raise_if_refused()
    return settings


class _Reader:
    """Collects everything wrong with one file, so that it is all said at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._causes: list[str] = []

    def refuse(self, key: str, cause: str) -> None:
        self._causes.append(f"{printable(key)} {printable(cause)}")

    def raise_if_refused(self) -> None:
        if self._causes:
            raise ConfigRefused("; ".join(self._causes), path=self._path)

    def only(self, table: Mapping[str, Any], known: Sequence[str], prefix: str) -> None:
        for key in table:
            if key not in known:
                near = get_close_matches(key, known, n=1)
                hint = f" (did you mean '{near[0]}'?)" if near else f" (known: {', '.join(known)})"
                self.refuse(f"{prefix}{key}", f"is not a known key{hint}")

    def table(self, tables: Mapping[str, Any], name: str) -> dict[str, Any]:
        value = tables.get(name, {})
        if isinstance(value, dict):
            return value
        self.refuse(name, "must be a table")
        return {}

    def text(self, value: Any, key: str, *, identifier: bool = False) -> str:
        if not isinstance(value, str):
            self.refuse(key, "must be text")
            return ""
        if identifier and not is_identifier(value):
            self.refuse(key, "must be 1 to 32 letters, digits, '-' or '_'")
        return value

    def timepoints(self, value: Any) -> tuple[StudyTimepoint, ...]:
        rows = value if isinstance(value, list) and value else None
        if rows is None:
            self.refuse("study.timepoints", "must be a list of codes or of tables with a code")
            return ()
        found = []
        for number, row in enumerate(rows, start=1):
            key = f"study.timepoints[{number}]"
            table = {"code": row} if isinstance(row, str) else row
            if not isinstance(table, dict) or not is_identifier(str(table.get("code", ""))):
                self.refuse(key, "needs a code of letters, digits, '-' or '_'")
                continue
            found.append(self.record(StudyTimepoint, table, f"{key}."))
        codes = [t.code for t in found if t is not None]
        if len(set(codes)) < len(codes):
            self.refuse("study.timepoints", "name a code twice")
        return tuple(t for t in found if t is not None)

    def thresholds(self, value: Any) -> tuple[float, ...]:
        good = isinstance(value, list) and value and all(_is_number(v) and 0 < v < 1 for v in value)
        if not good:
            self.refuse("study.thresholds", "must be a list of fractions between 0 and 1, such as [1e-5]")
            return ()
        return tuple(float(v) for v in value)

    def clinical(self, table: Mapping[str, Any]) -> ClinicalTables:
        """Paths of the clinical tables, taken from the configuration's folder; each must be a file."""
        named = self.record(ClinicalTables, table, "clinical.")
        if named is None:
            return ClinicalTables()
        paths: dict[str, Path] = {}
        for field_ in dataclasses.fields(ClinicalTables):
            path = getattr(named, field_.name)
            if path is not None:
                paths[field_.name] = self._path.parent / path
                if not paths[field_.name].is_file():
                    self.refuse(f"clinical.{field_.name}", "names a file that is not there")
        return ClinicalTables(**paths)

    def record(self, record_type: type, table: Mapping[str, Any], prefix: str) -> Any:
        """A dataclass from a table; None where it is refused."""
        names = [f.name for f in dataclasses.fields(record_type)]
        self.only(table, names, prefix)
        hints = get_type_hints(record_type)
        before = len(self._causes)
        values = {k: self._value(hints[k], v, f"{prefix}{k}") for k, v in table.items() if k in names}
        if len(self._causes) > before:
            return None
        try:
            return record_type(**values)
        except ValueError as error:
            self.refuse(prefix.rstrip("."), f"is impossible: {error}")
            return None

    def _value(self, hint: Any, value: Any, key: str) -> Any:
        if hint is float and _is_number(value):
            return float(value)
        if hint == Path | None and (value is None or isinstance(value, str)):
            return None if value is None else Path(value)
        if (
            isinstance(hint, type)
            and isinstance(value, hint)
            and (hint is bool or not isinstance(value, bool))
        ):
            return value
        self.refuse(key, f"must be {_WORDS.get(hint, 'text')}, not {type(value).__name__}")
        return None


_WORDS: dict[Any, str] = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _tables(path: Path) -> tuple[dict[str, Any], str]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigRefused(f"cannot be read ({error.strerror})", path=path) from error
    try:
        return tomllib.loads(raw.decode("utf-8-sig")), sha256_bytes(raw)
    except UnicodeDecodeError as error:
        raise ConfigRefused("is not UTF-8 text", path=path, remedy="save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(path, str(error), raw) from error


def _not_toml(path: Path, message: str, raw: bytes) -> ConfigRefused:
    """The refusal of a file with a syntax error, at its place."""
    # Python 3.11 to 3.13 state the place in the message only.
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    cause = printable(message[: place.start()] if place else message)
    line = int(place[1]) if place and place[1] else raw.count(b"\n") + 1
    remedy = None
    if "\\" in message or "escape" in message:
        remedy = "write paths with / or between single quotes"
    return ConfigRefused(
        f"is not TOML: {cause}",
        path=path,
        line=line,
        column=place[2] if place and place[2] else None,
        remedy=remedy,
    )
