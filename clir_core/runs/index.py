"""The step of an audit that searches an approximate index: built of the vectors that were ranked, then thrown away."""

from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from clir_core.audit.index import Searched
from clir_core.audit.result import TableRead
from clir_core.corpus.own import own_documents
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.correct.correction import Correction
from clir_core.errors import SpecError
from clir_core.measure.index import index_rows
from clir_core.rank.built_index import BuiltIndex
from clir_core.runs.places import index_directory
from clir_core.runs.rank import document_vectors, fitted, open_read
from clir_core.runs.workers import Ranking
from clir_core.scenarios.nway import NAME as NWAY
from clir_core.workspace import layout
from clir_core.workspace.atomic import UNFINISHED
from clir_core.workspace.progress import Bars
from clir_core.workspace.steps import once


def search_index(asked: Ranking, clusters: pl.DataFrame, bars: Bars) -> tuple[Searched, bool]:
    """What an index of all documents returns of the exact lists of the pools of all languages, or was found before."""
    directory = index_directory(asked.spec, asked.directory, clusters)
    return once(directory, Searched, lambda scratch: _searched(asked, clusters, bars, scratch))


def _searched(asked: Ranking, clusters: pl.DataFrame, bars: Bars, scratch: Path) -> Searched:
    spec, corpus = asked.spec, asked.corpus
    exact = _of_all_languages(asked.directory / layout.TOP).select(
        "query_lang", "query_id", "doc_id", "position", lang="doc_lang"
    )
    golds = _of_all_languages(asked.directory / layout.RANKS).select(
        "query_lang", "query_id", "doc_id", lang="gold_lang"
    )
    if exact.is_empty():
        raise SpecError(
            f"index {spec.index}: no query of {corpus.name} has relevant versions in all of "
            f"{', '.join(corpus.languages)}, so no pool of all languages is asked; audit fewer `languages`, or leave "
            "`index` out"
        )
    assert asked.embedded.documents, "nothing is stored"
    correction = fitted(spec, asked.fit, asked.embedded, asked.unit) if asked.fit else None
    documents = open_read(asked.embedded.documents).find(document_texts(corpus)).sort("lang", "id")
    vectors_DH = _documents(asked.embedded.documents, documents, correction)
    queries = _queries(asked, exact["query_id"], correction)
    left_out = _never_returned(corpus, documents, golds)
    most, progress = max(spec.cutoffs), bars("search")
    more = int(left_out.group_by("query_id").len()["len"].max() or 0)  # type: ignore[arg-type]
    for begun in scratch.glob(f"{UNFINISHED}*"):
        rmtree(begun)
    with TemporaryDirectory(dir=scratch, prefix=UNFINISHED) as folder:
        index = BuiltIndex(Path(folder), vectors_DH, spec, asked.unit and not spec.has_hub)
        efforts, found = sorted({index.effort(effort, most + more) for effort in spec.efforts(most)}), {}
        for at, effort in enumerate(efforts):
            progress(at, len(efforts))
            parts = [
                _returned(index, ids, vectors_QH, documents["id"], effort, most + more) for ids, vectors_QH in queries
            ]
            returned = pl.concat(parts).join(left_out, on=["query_id", "doc_id"], how="anti", maintain_order="left")
            found[effort] = returned.with_columns(position=pl.int_range(1, pl.len() + 1).over("query_id"))
        progress(len(efforts), len(efforts))
    rows = index_rows(exact, found, golds, clusters, spec.cutoffs)
    return Searched(documents=len(documents), partitions=index.partitions, similarity=index.similarity, rows=rows)


def _documents(read: TableRead, documents: pl.DataFrame, correction: Correction | None) -> np.ndarray:
    stored = open_read(read)
    parts = [
        document_vectors(stored, str(lang), rows["row_id"].to_numpy(), correction)
        for (lang,), rows in documents.group_by("lang", maintain_order=True)
    ]
    return np.concatenate(parts)


def _queries(asked: Ranking, wanted: pl.Series, correction: Correction | None) -> list[tuple[pl.Series, np.ndarray]]:
    """Of each language, the queries that are asked and their vectors."""
    assert asked.embedded.queries, "nothing is stored"
    stored = open_read(asked.embedded.queries)
    places = stored.find(query_texts(asked.corpus)).filter(pl.col("id").is_in(wanted.implode())).sort("lang", "id")
    found = []
    for (lang,), rows in places.group_by("lang", maintain_order=True):
        vectors_QH = stored.vectors(rows["row_id"].to_numpy())
        found.append((rows["id"], correction.of_queries(str(lang), vectors_QH) if correction else vectors_QH))
    return found


def _never_returned(corpus: Corpus, documents: pl.DataFrame, golds: pl.DataFrame) -> pl.DataFrame:
    """query_id and doc_id: of queries that are documents, themselves and their translations, unless they are golds."""
    own = own_documents(corpus).select("query_id", "group_id").join(documents, on="group_id")
    return own.select("query_id", doc_id="id").join(golds, on=["query_id", "doc_id"], how="anti")


def _of_all_languages(file: Path) -> pl.DataFrame:
    return pl.scan_parquet(file).filter(pl.col("scenario") == NWAY).collect()


def _returned(
    index: BuiltIndex, ids: pl.Series, vectors_QH: np.ndarray, documents: pl.Series, effort: int, k: int
) -> pl.DataFrame:
    """query_id and doc_id, best first."""
    lists = [*index.search(vectors_QH, effort, k)]
    at = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    return pl.DataFrame({"query_id": ids.gather(at), "doc_id": documents.gather(np.concatenate(lists))})
