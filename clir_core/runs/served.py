"""The step of an audit that searches an approximate index: built of the vectors that were ranked, then thrown away."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from clir_core.audit.served import Served
from clir_core.corpus.own import own_documents
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.correct.correction import Correction
from clir_core.measure.served import served_rows
from clir_core.rank.served import ServedIndex
from clir_core.rank.store import VectorTable
from clir_core.runs.places import served_directory
from clir_core.runs.rank import document_vectors, fitted, open_read
from clir_core.runs.workers import Ranking
from clir_core.scenarios.nway import NAME as NWAY
from clir_core.workspace import layout
from clir_core.workspace.progress import Bars
from clir_core.workspace.steps import once


def serve(asked: Ranking, clusters: pl.DataFrame, bars: Bars) -> tuple[Served, bool]:
    """What an index of all documents returns of the exact lists of the pools of all languages, or was found before."""
    directory = served_directory(asked.spec, asked.directory, clusters)
    return once(directory, Served, lambda scratch: _served(asked, clusters, bars, scratch))


def _served(asked: Ranking, clusters: pl.DataFrame, bars: Bars, scratch: Path) -> Served:
    spec, corpus = asked.spec, asked.corpus
    assert asked.embedded.documents and asked.embedded.queries, "nothing is stored"
    correction = fitted(spec, asked.fit, asked.embedded, asked.unit) if asked.fit else None
    stored, queries = open_read(asked.embedded.documents), open_read(asked.embedded.queries)
    documents = stored.find(document_texts(corpus)).sort("lang", "id")
    vectors_DH = np.concatenate(
        [
            document_vectors(stored, str(lang), rows["row_id"].to_numpy(), correction)
            for (lang,), rows in documents.group_by("lang", maintain_order=True)
        ]
    )
    exact = _of_all_languages(asked.directory / layout.TOP).select(
        "query_lang", "query_id", "doc_id", "position", lang="doc_lang"
    )
    golds = _of_all_languages(asked.directory / layout.RANKS).select(
        "query_lang", "query_id", "doc_id", lang="gold_lang"
    )
    places = (
        queries.find(query_texts(corpus)).join(exact, left_on="id", right_on="query_id", how="semi").sort("lang", "id")
    )
    by_language = {str(lang): rows for (lang,), rows in places.group_by("lang", maintain_order=True)}
    vectors = {lang: _asked(queries, rows, lang, correction) for lang, rows in by_language.items()}
    own, most = own_documents(corpus).select("query_id", "doc_id"), max(spec.cutoffs)
    efforts, progress = spec.efforts(most), bars("search")
    with TemporaryDirectory(dir=scratch) as folder:
        index = ServedIndex(Path(folder), vectors_DH, spec, asked.unit and not spec.has_hub)
        found = {}
        for at, effort in enumerate(efforts):
            progress(at, len(efforts))
            parts = [
                _returned(index, rows["id"], vectors[lang], documents["id"], effort, most + (len(own) > 0))
                for lang, rows in by_language.items()
            ]
            returned = pl.concat(parts).join(own, on=["query_id", "doc_id"], how="anti", maintain_order="left")
            found[effort] = returned.with_columns(position=pl.int_range(1, pl.len() + 1).over("query_id"))
        progress(len(efforts), len(efforts))
    rows = served_rows(exact, found, golds, clusters, spec.cutoffs)
    return Served(documents=len(documents), partitions=index.partitions, similarity=index.similarity, rows=rows)


def _of_all_languages(file: Path) -> pl.DataFrame:
    return pl.scan_parquet(file).filter(pl.col("scenario") == NWAY).collect()


def _asked(queries: VectorTable, rows: pl.DataFrame, lang: str, correction: Correction | None) -> np.ndarray:
    vectors_QH = queries.vectors(rows["row_id"].to_numpy())
    return correction.of_queries(lang, vectors_QH) if correction else vectors_QH


def _returned(
    index: ServedIndex, ids: pl.Series, vectors_QH: np.ndarray, documents: pl.Series, effort: int, k: int
) -> pl.DataFrame:
    """query_id and doc_id, best first."""
    lists = [*index.search(vectors_QH, effort, k)]
    at = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    return pl.DataFrame({"query_id": ids.gather(at), "doc_id": documents.gather(np.concatenate(lists))})
