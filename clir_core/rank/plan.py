"""The plan of a ranking: documents and queries numbered, each query's golds, and who is compared with whom.

A related document of a query is a gold or another version of one: it is never "unrelated", whatever it scores.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from clir_core.corpus.tables import Corpus, Skipped, skip
from clir_core.errors import CorpusError, SpecError
from clir_core.rank.outrank import Side
from clir_core.scenarios import ScenarioName, pools
from clir_core.scenarios.pool import N_BUCKETS, Pool, buckets_of


@dataclass(frozen=True)
class Documents:
    """Documents of one language, numbered by (hash bucket, id)."""

    doc_id: pl.Series
    group_id: pl.Series
    bucket_D: np.ndarray

    def __len__(self) -> int:
        return len(self.doc_id)

    @property
    def ends(self) -> np.ndarray:
        """Documents in the first 0, 1, ... 10 buckets, int64 [11]."""
        return np.searchsorted(self.bucket_D, np.arange(N_BUCKETS + 1))


@dataclass(frozen=True)
class Related:
    """Related documents of the queries of one language, R rows sorted by query. `score` is filled in by the ranking."""

    first_Q: np.ndarray
    query: np.ndarray
    lang: np.ndarray
    doc: np.ndarray
    bucket: np.ndarray
    is_gold: np.ndarray
    grade: np.ndarray
    score: np.ndarray


@dataclass(frozen=True)
class Queries:
    """Queries of one language that have a gold, numbered so that neighbours share golds."""

    query_id: pl.Series
    n_gold_groups: np.ndarray
    related: Related

    def __len__(self) -> int:
        return len(self.query_id)


@dataclass(frozen=True)
class Block:
    """Documents start:stop of a language and their hash buckets: the unit of parallel work."""

    lang: str
    start: int
    stop: int
    bucket_D: np.ndarray


@dataclass(frozen=True)
class Plan:
    """Everything that ranking needs but the vectors."""

    languages: tuple[str, ...]
    pools: tuple[Pool, ...]
    documents: dict[str, Documents]
    queries: dict[str, Queries]
    cutoff: int
    seed: int
    gold_langs: dict[tuple[str, str], tuple[str, ...]]
    # queries that no pool can be asked: in a language without documents, or with golds in none of the languages
    skipped: tuple[Skipped, ...]

    @property
    def depth(self) -> int:
        """How long a top list must be so that `cutoff` documents stay when a query's related ones are taken out."""
        most = 0
        for queries in self.queries.values():
            pairs = queries.related.query * len(self.languages) + queries.related.lang
            most = max(most, int(np.bincount(pairs).max(initial=0)))
        # no list is longer than the documents of a language
        return min(self.cutoff + most, max(map(len, self.documents.values())))

    def pairs(self) -> Iterator[tuple[str, str]]:
        """The (query language, document language) pairs that some pool asks for."""
        return iter(self.gold_langs)

    def gold_rows(self, query_lang: str, doc_lang: str) -> np.ndarray:
        """Rows of Related, int64: golds in the languages that must be compared with documents of doc_lang."""
        related = self.queries[query_lang].related
        wanted = np.array([lang in self.gold_langs[query_lang, doc_lang] for lang in self.languages])
        return np.flatnonzero(related.is_gold & wanted[related.lang])

    def side(self, query_lang: str, doc_lang: str) -> Side:
        """What the counting kernel needs of this pair; the scores must be known."""
        related = self.queries[query_lang].related
        n_queries = len(self.queries[query_lang])
        same = np.flatnonzero(related.lang == self.languages.index(doc_lang))
        golds = self.gold_rows(query_lang, doc_lang)
        return Side(
            _first(related.query[same], n_queries),
            related.doc[same],
            _first(related.query[golds], n_queries),
            related.score[golds],
        )

    def blocks(self, size: int) -> list[Block]:
        """All documents that some pool asks for, in blocks of at most `size`."""
        langs = dict.fromkeys(doc_lang for _, doc_lang in self.gold_langs)
        buckets = {lang: self.documents[lang].bucket_D for lang in langs}
        return [
            Block(lang, start, min(start + size, len(bucket_D)), bucket_D[start : start + size])
            for lang, bucket_D in buckets.items()
            for start in range(0, len(bucket_D), size)
        ]


def make_plan(
    corpus: Corpus, languages: Sequence[str], scenarios: Sequence[ScenarioName], cutoff: int, seed: int
) -> Plan:
    """Number everything and find each query's related documents; languages with English first.

    Raises SpecError where no pool comes of the scenarios, CorpusError where no query can be asked.
    """
    documents = _frame(corpus.documents).filter(pl.col("lang").is_in(languages))
    documents = documents.with_columns(bucket=pl.Series(buckets_of(documents["group_id"].to_list(), seed)))
    documents = documents.sort("lang", "bucket", "doc_id").with_columns(doc=pl.int_range(pl.len()).over("lang"))
    related = _related(documents, _frame(corpus.qrels))
    queries = _number_queries(_frame(corpus.queries), related, languages)
    wanted = pools(scenarios, languages)
    if not wanted:
        raise SpecError(
            f"scenarios {', '.join(scenarios)} need a language beside English, and {corpus.name} is asked in "
            f"{', '.join(languages)} alone; add a language, or ask for mono"
        )
    if not len(queries):
        raise CorpusError(
            f"{corpus.name}: no query has a relevant document in {', '.join(languages)}; check the qrels, or ask for "
            "the languages that the relevant documents are in"
        )
    return Plan(
        tuple(languages),
        wanted,
        {lang: _documents(documents.filter(pl.col("lang") == lang)) for lang in languages},
        {lang: _queries(queries.filter(pl.col("lang") == lang), related, languages) for lang in languages},
        cutoff,
        seed,
        _gold_langs(wanted),
        _left_out(corpus, queries),
    )


def _left_out(corpus: Corpus, asked: pl.DataFrame) -> tuple[Skipped, ...]:
    left = _frame(corpus.queries).join(asked, on="query_id", how="anti", maintain_order="left")["query_id"]
    return skip("queries", "no relevant document, or no document at all, in their language's pools", left.to_list())


def _gold_langs(wanted: Sequence[Pool]) -> dict[tuple[str, str], tuple[str, ...]]:
    """For each pair of query and document language, the languages of the golds that pools compare there."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for pool in wanted:
        for lang in pool.languages:
            found.setdefault((pool.query_lang, lang), {}).update(dict.fromkeys(pool.gold_langs))
    return {pair: tuple(langs) for pair, langs in found.items()}


def _related(documents: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """One row a query and related document: query_id, the document's columns, is_gold, grade."""
    qrels = qrels.filter(pl.col("grade") > 0)
    by_group = qrels.filter(pl.col("group_id").is_not_null()).drop("doc_id")
    by_group = by_group.join(documents.select("group_id", "doc_id"), on="group_id")
    by_doc = qrels.filter(pl.col("group_id").is_null()).drop("group_id")
    by_doc = by_doc.join(documents.select("group_id", "doc_id"), on="doc_id")
    columns = ("query_id", "group_id", "doc_id", "grade")
    golds = pl.concat([by_group.select(columns), by_doc.select(columns)])
    golds = golds.group_by("query_id", "group_id", "doc_id").agg(pl.col("grade").max())
    every_version = golds.select("query_id", "group_id").unique().join(documents, on="group_id")
    return every_version.join(golds.drop("group_id"), on=["query_id", "doc_id"], how="left").with_columns(
        is_gold=pl.col("grade").is_not_null(), grade=pl.col("grade").fill_null(0)
    )


def _number_queries(queries: pl.DataFrame, related: pl.DataFrame, languages: Sequence[str]) -> pl.DataFrame:
    gold_group = related.filter("is_gold").group_by("query_id").agg(first_gold=pl.col("group_id").min())
    found = queries.filter(pl.col("lang").is_in(languages)).join(gold_group, on="query_id")
    return found.sort("lang", "first_gold", "query_id").with_columns(query=pl.int_range(pl.len()).over("lang"))


def _documents(frame: pl.DataFrame) -> Documents:
    return Documents(frame["doc_id"], frame["group_id"], frame["bucket"].to_numpy())


def _queries(frame: pl.DataFrame, related: pl.DataFrame, languages: Sequence[str]) -> Queries:
    code = {lang: i for i, lang in enumerate(languages)}
    rows = related.join(frame.select("query_id", "query"), on="query_id").with_columns(
        pl.col("lang").replace_strict(code, return_dtype=pl.Int64)
    )
    rows = rows.sort("query", "lang", "doc")
    query = rows["query"].to_numpy()
    table = Related(
        _first(query, len(frame)),
        query,
        rows["lang"].to_numpy(),
        rows["doc"].to_numpy(),
        rows["bucket"].to_numpy(),
        rows["is_gold"].to_numpy(),
        rows["grade"].to_numpy(),
        np.full(len(rows), np.nan, np.float32),
    )
    gold_groups = rows.filter("is_gold").select("query", "group_id").unique()
    n_gold_groups = np.bincount(gold_groups["query"].to_numpy(), minlength=len(frame))
    return Queries(frame["query_id"], n_gold_groups, table)


def _first(query: np.ndarray, n_queries: int) -> np.ndarray:
    """Where each query's rows begin in an array sorted by query; one more entry than queries."""
    return np.searchsorted(query, np.arange(n_queries + 1)).astype(np.int64)


def _frame(table: object) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(table))
