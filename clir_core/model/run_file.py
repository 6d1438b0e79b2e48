"""A TREC run: the documents that some system found for each query, as weights whose products rank as the run does."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.sparse import csr_array, eye_array

from clir_core.errors import ModelError
from clir_core.model.baseline import RUN
from clir_core.sources.lines import decoded, read_lines
from clir_core.sources.values import number_in
from clir_core.workspace.storage import path_of

_SHOWN = 5
_MOST = 2**63  # ranks from here on do not fit


class Run(NamedTuple):
    """A run's rows (query_id, doc_id, rank, score), each pair once, and what is to be said of the file."""

    rows: pl.DataFrame
    notes: tuple[str, ...]


def check_run(ref: str) -> None:
    """ModelError where a model reference names a run that cannot be read: nothing else has to be done to know."""
    if ref.startswith(RUN):
        read_run(path_of(ref.removeprefix(RUN)))


def read_run(path: Path) -> Run:
    """Read it, packed or not, as its name says. ModelError names lines that have no meaning, or contradict others.

    As in trec_eval scores decide, not ranks; where most neighbours are ranked the other way they are distances, and
    refused.
    """
    seen: dict[tuple[str, str], tuple[int, float]] = {}
    problems, repeated = [], 0
    for number, line in _lines(path):
        parts = line.split(maxsplit=5)
        try:
            query, doc, rank, score = parts[0], parts[2], _rank(parts[3]), number_in(parts[4])
        except (IndexError, ValueError):
            problems.append(f"line {number}: {line[:60]!r} is not `query Q0 document rank score tag`")
            continue
        known = seen.setdefault((query, doc), (rank, score))
        if not math.isfinite(score):
            problems.append(f"line {number}: the score is {parts[4]}")
        elif known[1] != score:
            problems.append(f"line {number}: document {doc} of query {query} again, with another score")
        repeated += 1
    if problems:
        more = f" and {len(problems) - _SHOWN:,} more" if len(problems) > _SHOWN else ""
        raise ModelError(f"{path}: {'; '.join(problems[:_SHOWN])}{more}; mend these lines")
    if not seen:
        raise ModelError(f"{path}: holds no line; give the run of a system that found something")
    repeated -= len(seen)
    notes = [f"The run repeats {repeated:,} of its lines."] if repeated else []
    columns = {"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int64, "score": pl.Float64}
    rows = pl.DataFrame([(*pair, *found) for pair, found in seen.items()], columns, orient="row")
    return Run(rows, (*notes, *_contradictions(path, rows)))


def placed(run: Run, query_ids: Sequence[str], doc_ids: Sequence[str]) -> tuple[csr_array, csr_array]:
    """The run as weights of documents, [documents, queries], and of queries, each of itself; products are its scores.

    A score is the place from behind among the query's distinct scores, from 1, and 0 for what the run does not list:
    exact in float32, as the run's own scores might not be. ModelError where no line is of this corpus.
    """
    queries = pl.DataFrame({"query_id": query_ids}).with_row_index("query")
    documents = pl.DataFrame({"doc_id": doc_ids}).with_row_index("doc")
    places = run.rows.with_columns(place=pl.col("score").rank("dense").over("query_id").cast(pl.Float32))
    found = places.join(queries, on="query_id").join(documents, on="doc_id")
    if found.is_empty():
        raise ModelError(
            f"the run has query {run.rows['query_id'][0]!r} and document {run.rows['doc_id'][0]!r}, the corpus "
            f"{query_ids[0]!r} and {doc_ids[0]!r}, and no line is of both; write the ids that topk.parquet of an audit "
            "of this corpus has"
        )
    at = found["doc"].to_numpy(), found["query"].to_numpy()
    weights = csr_array((found["place"].to_numpy(), at), (len(doc_ids), len(query_ids)))
    return weights, csr_array(eye_array(len(query_ids), dtype=np.float32))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that hold something. ModelError where the file cannot be read as text."""
    problems: list[str] = []
    for number, raw in read_lines(path, problems):
        yield number, (decoded(path, number, raw, problems) or "").strip()
        if problems:
            break
    if problems:
        raise ModelError(f"run {problems[0]}")


def _rank(text: str) -> int:
    rank = int(text)
    if "_" in text or abs(rank) >= _MOST:
        raise ValueError
    return rank


def _contradictions(path: Path, rows: pl.DataFrame) -> Iterator[str]:
    """What is said of ranks that the scores contradict. ModelError where most do."""
    ordered = rows.sort("query_id", "rank")
    neighbours = (pl.col("query_id") == pl.col("query_id").shift()) & (pl.col("rank") > pl.col("rank").shift())
    rises = neighbours & (pl.col("score") > pl.col("score").shift())
    n_neighbours, n_rises = ordered.select(places=neighbours.sum(), rises=rises.sum()).row(0)
    if 2 * n_rises > n_neighbours:
        raise ModelError(
            f"{path}: scores rise with the rank at {n_rises:,} of {n_neighbours:,} places, as distances do; a higher "
            "score must be better: write them negated"
        )
    if n_rises:
        yield f"Scores of the run contradict its ranks at {n_rises:,} of {n_neighbours:,} places; scores decide."
