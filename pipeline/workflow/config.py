"""A batch's configuration: TOML in, typed and checked values out.

Whatever the file leaves out has its default from ``configs/default.toml`` (the study)
or from the assay's settings dataclass. An unknown key is refused: a misspelt threshold
must not be a silent default.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.formats.shipped import shipped_config, shipped_names
from pipeline.formats.toml_tables import TableReader, is_number, read_toml
from pipeline.model import Assay, ValidatedLimits, is_identifier

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
    ``validated`` are the assays' own limits, by method.
    ``sha256`` is that of the file's bytes.
    """

    study_id: str
    title: str
    timepoints: tuple[StudyTimepoint, ...]
    baseline: str
    thresholds: tuple[float, ...]
    clinical: ClinicalTables = field(default_factory=ClinicalTables)
    validated: tuple[ValidatedLimits, ...] = ()
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
    from chip.settings import ChipSettings
    from mrd_flow.cytof.settings import CytofSettings
    from mrd_flow.evidence import FlowSettings
    from mrd_ngs.settings import NgsSettings

    return {
        Assay.NGS: NgsSettings,
        Assay.FLOW: FlowSettings,
        Assay.CHIP: ChipSettings,
        Assay.CYTOF: CytofSettings,
    }


def shipped_panels() -> dict[str, int]:
    """Names of the flow panels that ship, and how many tubes each has.

    >>> shipped_panels()["euroflow"]
    2
    """
    names = shipped_names("panels")
    return {name: len(read_toml(shipped_config(name, "panels"))[0]["tubes"]) for name in names}


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
    default = read_toml(shipped_config("default"))[0]
    source = shipped_config("default") if path is None else Path(path)
    tables, digest = read_toml(source)
    types = settings_types() if assays is None else assays
    reader = _StudyReader(source)
    known = ("study", "clinical", "validated", *types)
    reader.only(tables, known, "")
    study = {**default["study"], **reader.table(tables, "study")}
    reader.only(study, ("id", "title", "timepoints", "baseline", "thresholds"), "study.")
    timepoints = reader.timepoints(study["timepoints"])
    settings = {
        assay: reader.record(t, reader.table(tables, assay), f"{assay}.") for assay, t in types.items()
    }
    clinical = reader.clinical(reader.table(tables, "clinical"))
    validated = reader.validated(reader.table(tables, "validated"))
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
        validated=validated,
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
    reader = TableReader(Path("task.json"))
    settings = reader.record(settings_types()[assay], dict(values), f"{assay}.")
    reader.raise_if_refused()
    return settings


class _StudyReader(TableReader):
    """Reads the study's own tables."""

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
        good = isinstance(value, list) and value and all(is_number(v) and 0 < v < 1 for v in value)
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
                paths[field_.name] = self.path.parent / path
                if not paths[field_.name].is_file():
                    self.refuse(f"clinical.{field_.name}", "names a file that is not there")
        return ClinicalTables(**paths)

    def validated(self, table: Mapping[str, Any]) -> tuple[ValidatedLimits, ...]:
        """Limits by method, such as ``[validated."flow:euroflow"]`` with lob, lod, loq and study."""
        found = []
        for method, limits in sorted(table.items()):
            key = f"validated.{method}"
            assay, colon, panel = method.partition(":")
            if assay not in {*Assay} or (colon and not is_identifier(panel)):
                self.refuse(key, "is no method: name an assay, or assay:panel")
            elif not isinstance(limits, dict) or not {"lob", "lod", "loq", "study"} <= limits.keys():
                self.refuse(key, "needs lob, lod, loq and study")
            else:
                record = self.record(ValidatedLimits, {**limits, "method": method}, f"{key}.")
                found += [] if record is None else [record]
        return tuple(found)
