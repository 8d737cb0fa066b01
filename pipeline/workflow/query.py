"""SQL over a batch's result tables.

The tables are loaded into a database in memory that has no access to files or network
from then on: a query can neither change the batch nor read anything beside it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InputRefused, UsageError, printable
from pipeline.workflow.batch import Batch

__all__ = ["Answer", "query_batch", "result_tables"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Column names and rows of an answer, in the order the query gives."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def result_tables(batch: Batch) -> dict[str, Path]:
    """Files of the result tables by the name under which they are queried and exported.

    Raises
    ------
    InputRefused
        If the batch has none.
    """
    found = {path.stem: path for path in sorted(batch.results.glob("*.parquet"))}
    if not found:
        raise InputRefused(
            "there is no result table",
            path=batch.results,
            remedy="name a batch folder in which `nadir run` has ended",
        )
    return found


def query_batch(folder: Path, sql: str) -> Answer:
    """Answer one SQL statement from the tables of a batch.

    Parameters
    ----------
    folder
        The batch.
    sql
        One statement of DuckDB's SQL; tables go by the names of results/*.parquet.

    Returns
    -------
    Answer

    Raises
    ------
    InputRefused
        If the batch has no tables.
    UsageError
        If the statement is wrong or wants something beside the tables.

    Notes
    -----
    The order of rows is the query's: without ORDER BY it may differ from run to run.
    """
    import duckdb

    tables = result_tables(Batch(folder))
    with duckdb.connect(":memory:") as database:
        for name, path in tables.items():
            relation = database.read_parquet(str(path))
            relation.create(name)
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")
        try:
            answer = database.execute(sql)
            columns = tuple(str(column[0]) for column in answer.description or ())
            return Answer(columns=columns, rows=tuple(answer.fetchall()))
        except duckdb.Error as error:
            first = printable(str(error).splitlines()[0])
            raise UsageError(f"the query cannot be answered: {first}; tables: {', '.join(tables)}") from error
