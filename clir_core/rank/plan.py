"""The plan of a ranking: documents and queries numbered, each query's golds, and who is compared with whom.

A related document of a query is a gold or another version of one, or its own document, which is in no pool of it: it
is never "unrelated", whatever it scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from clir_core.corpus.lang import language_name
from clir_core.corpus.own import own_documents
from clir_core.corpus.tables import Corpus, Skipped, skip
from clir_core.errors import CorpusError, SpecError
from clir_core.rank.outrank import Side
from clir_core.rank.tie_order import tie_order
from clir_core.scenarios import ScenarioName, pools
from clir_core.scenarios.pool import ALL, N_BUCKETS, Pool, buckets_of
from clir_core.workspace.memory import check_room

# of a related document in its arrays
RELATED_BYTES = 20


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
    # the query itself as a document, and its translations: in none of its pools
    is_own: np.ndarray

    def __len__(self) -> int:
        return len(self.doc)


@dataclass(frozen=True)
class Queries:
    """Queries of one language that have a gold, numbered so that neighbours share golds."""

    query_id: pl.Series
    n_gold_groups: np.ndarray
    related: Related
    # of equal scores, whose documents come first: a place for every language of the plan
    tie_order_QL: np.ndarray

    def __len__(self) -> int:
        return len(self.query_id)


@dataclass(frozen=True)
class Asked:
    """What pools ask of queries and documents of a language each: whose golds are compared, in how many buckets."""

    gold_langs: tuple[str, ...]
    n_buckets: int


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

    # the pivot first
    languages: tuple[str, ...]
    pivot: str
    pools: tuple[Pool, ...]
    documents: dict[str, Documents]
    queries: dict[str, Queries]
    cutoff: int
    seed: int
    # by query and document language
    asked: dict[tuple[str, str], Asked]
    # queries that no pool can be asked: in a language without documents, or with golds in none of the languages
    skipped: tuple[Skipped, ...]

    @cached_property
    def depth(self) -> int:
        """How long a top list must be so that `cutoff` documents stay when a query's related ones are taken out."""
        most = 0
        for queries in self.queries.values():
            pairs = queries.related.query.astype(np.int64) * len(self.languages) + queries.related.lang
            most = max(most, int(np.bincount(pairs).max(initial=0)))
        # no list is longer than the documents of a language
        return min(self.cutoff + most, max(map(len, self.documents.values())))

    @cached_property
    def rank_languages(self) -> tuple[str, ...]:
        """Languages whose documents are ranked, in the order in which pools ask for them."""
        return tuple(dict.fromkeys(lang for pool in self.pools for lang in pool.languages))

    @cached_property
    def _n_golds(self) -> dict[str, np.ndarray]:
        related = {lang: queries.related for lang, queries in self.queries.items()}
        return {
            lang: np.bincount(found.lang[found.is_gold], minlength=len(self.languages))
            for lang, found in related.items()
        }

    def count_golds(self, query_lang: str, gold_langs: Sequence[str]) -> int:
        """How many golds of the queries of a language are in these languages, all queries together."""
        return int(sum(self._n_golds[query_lang][self.languages.index(lang)] for lang in gold_langs))

    def part(self, wanted: Sequence[Pool]) -> "Plan":
        """The plan of these pools alone."""
        return replace(self, pools=tuple(wanted), asked=_asked(wanted))

    def gold_rows(self, query_lang: str, gold_langs: Sequence[str]) -> np.ndarray:
        """Rows of Related, in their order, int64: golds in these languages."""
        related = self.queries[query_lang].related
        wanted = np.array([lang in gold_langs for lang in self.languages])
        return np.flatnonzero(related.is_gold & wanted[related.lang])

    def sides(self) -> dict[tuple[str, str], Side]:
        """What the counting kernel needs of every pair that some pool asks for; the scores must be known."""
        # many pairs compare the same golds, whose scores are most of a side
        golds: dict[tuple[str, tuple[str, ...]], tuple[np.ndarray, np.ndarray]] = {}
        sides = {}
        for (query_lang, doc_lang), asked in self.asked.items():
            queries, key = self.queries[query_lang], (query_lang, asked.gold_langs)
            related = queries.related
            if key not in golds:
                rows = self.gold_rows(*key)
                golds[key] = _first(related.query[rows], len(queries)), related.score[rows]
            same = np.flatnonzero(related.lang == self.languages.index(doc_lang))
            sides[query_lang, doc_lang] = Side(
                _first(related.query[same], len(queries)), related.doc[same], *golds[key], asked.n_buckets
            )
        return sides

    def blocks(self, size: int) -> list[Block]:
        """All documents that some pool asks for, in blocks of at most `size`."""
        buckets = {lang: self.documents[lang].bucket_D for lang in self.rank_languages}
        return [
            Block(lang, start, min(start + size, len(bucket_D)), bucket_D[start : start + size])
            for lang, bucket_D in buckets.items()
            for start in range(0, len(bucket_D), size)
        ]


def make_plan(
    corpus: Corpus, languages: Sequence[str], scenarios: Sequence[ScenarioName], cutoff: int, seed: int
) -> Plan:
    """Number everything and find each query's related documents; languages with the pivot first.

    Raises SpecError where no pool comes of the scenarios, CorpusError where no query can be asked.
    """
    documents = _frame(corpus.documents).select("doc_id", "group_id", "lang").filter(pl.col("lang").is_in(languages))
    documents = documents.with_columns(
        bucket=pl.Series(buckets_of(documents["group_id"].to_list(), seed)),
        group=pl.col("group_id").rank("dense").cast(pl.Int32),
    )
    documents = documents.sort("lang", "bucket", "doc_id").with_columns(
        doc=pl.int_range(pl.len(), dtype=pl.Int32).over("lang")
    )
    golds = _golds(documents, _frame(corpus.qrels))
    own = own_documents(corpus)
    mine = _mine(own, documents)
    queries = _number_queries(_frame(corpus.queries), golds, languages)
    wanted = pools(scenarios, languages, corpus.pivot)
    if not wanted:
        raise SpecError(
            f"scenarios {', '.join(scenarios)} need a language beside {language_name(corpus.pivot)}, and {corpus.name} "
            f"is asked in {', '.join(languages)} alone; add a language, or ask for mono"
        )
    if not len(queries):
        raise CorpusError(
            f"{corpus.name}: no query has a relevant document in {', '.join(languages)}; check the qrels, or ask for "
            "the languages that the relevant documents are in"
        )
    _check_plan_fits(golds, documents)
    code = {lang: i for i, lang in enumerate(languages)}
    versions = documents.select(
        "group", "doc", "bucket", lang=pl.col("lang").replace_strict(code, return_dtype=pl.Int16)
    )
    return Plan(
        tuple(languages),
        corpus.pivot,
        wanted,
        {lang: _documents(documents.filter(pl.col("lang") == lang)) for lang in languages},
        {lang: _queries(queries.filter(pl.col("lang") == lang), golds, mine, versions, code) for lang in languages},
        cutoff,
        seed,
        _asked(wanted),
        (*_left_out(corpus, queries), *_own(own, queries)),
    )


def _check_plan_fits(golds: pl.DataFrame, documents: pl.DataFrame) -> None:
    versions = documents.group_by("group").len()
    n_related = int(golds.select("query_id", "group").unique().join(versions, on="group")["len"].to_numpy().sum())
    check_room(RELATED_BYTES * n_related, f"a plan of {n_related:,} related documents", "audit fewer `languages`")


def _left_out(corpus: Corpus, asked: pl.DataFrame) -> tuple[Skipped, ...]:
    left = _frame(corpus.queries).join(asked, on="query_id", how="anti", maintain_order="left")["query_id"]
    return skip("queries", "no relevant document, or no document at all, in their language's pools", left.to_list())


def _own(own: pl.DataFrame, asked: pl.DataFrame) -> tuple[Skipped, ...]:
    left = own.join(asked, on="query_id", how="semi")["doc_id"].sort()
    reason = "is a query itself, by id and text: in no pool of that query, nor are its translations, unless relevant"
    return skip("documents", reason, left.to_list())


def _mine(own: pl.DataFrame, documents: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Of queries that are documents: the groups of those (query_id, group), and the documents (query_id, lang, doc)."""
    groups = documents.select("group_id", "group").unique()
    return (
        own.join(groups, on="group_id").select("query_id", "group"),
        own.join(documents, on="doc_id").select("query_id", "lang", "doc"),
    )


def _asked(wanted: Sequence[Pool]) -> dict[tuple[str, str], Asked]:
    golds: dict[tuple[str, str], dict[str, None]] = {}
    by_bucket: set[tuple[str, str]] = set()
    for pool in wanted:
        for lang, buckets in pool.buckets.items():
            pair = pool.query_lang, lang
            golds.setdefault(pair, {}).update(dict.fromkeys(pool.gold_langs))
            if buckets != ALL:
                by_bucket.add(pair)
    return {pair: Asked(tuple(langs), N_BUCKETS if pair in by_bucket else 1) for pair, langs in golds.items()}


def _golds(documents: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """What each query asks for: query_id, grade, the group as a number; lang and doc where one document is meant."""
    qrels = qrels.filter(pl.col("grade") > 0)
    groups = documents.select("group_id", "group").unique()
    by_group = qrels.filter(pl.col("group_id").is_not_null()).join(groups, on="group_id")
    by_doc = qrels.filter(pl.col("group_id").is_null()).join(documents, on="doc_id")
    columns = ("query_id", "grade", "group")
    return pl.concat([by_group.select(columns), by_doc.select(*columns, "lang", "doc")], how="diagonal")


def _number_queries(queries: pl.DataFrame, golds: pl.DataFrame, languages: Sequence[str]) -> pl.DataFrame:
    # groups are numbered in the order of their ids
    first_gold = golds.group_by("query_id").agg(first_gold=pl.col("group").min())
    asked = queries.select("query_id", "group_id", "lang").filter(pl.col("lang").is_in(languages))
    found = asked.join(first_gold, on="query_id")
    return found.sort("lang", "first_gold", "query_id").select(
        "query_id", "group_id", "lang", query=pl.int_range(pl.len(), dtype=pl.Int32).over("lang")
    )


def _documents(frame: pl.DataFrame) -> Documents:
    return Documents(frame["doc_id"], frame["group_id"], frame["bucket"].to_numpy())


def _queries(
    frame: pl.DataFrame,
    golds: pl.DataFrame,
    own: tuple[pl.DataFrame, pl.DataFrame],
    versions: pl.DataFrame,
    code: dict[str, int],
) -> Queries:
    """One language's queries; one language at a time, as its related documents alone can be many.

    `own` are the groups of the queries' own documents, and those documents.
    """
    numbers = frame.select("query_id", "query")
    asked = golds.join(numbers, on="query_id").drop("query_id")
    asked = asked.with_columns(pl.col("lang").replace_strict(code, return_dtype=pl.Int16))
    own_groups, own_docs = (part.join(numbers, on="query_id").drop("query_id") for part in own)
    own_docs = own_docs.with_columns(pl.col("lang").replace_strict(code, return_dtype=pl.Int16), is_own_doc=True)
    gold_groups = asked.select("query", "group").unique()
    only_own = own_groups.select("query", "group").unique().join(gold_groups, on=["query", "group"], how="anti")
    marked = pl.concat([gold_groups.with_columns(only_own=False), only_own.with_columns(only_own=True)])
    rows = marked.join(versions, on="group").join(own_docs, on=["query", "lang", "doc"], how="left")
    whole, single = pl.col("doc").is_null(), pl.col("doc").is_not_null()
    for name, which, keys in (("whole", whole, ["query", "group"]), ("single", single, ["query", "lang", "doc"])):
        graded = asked.filter(which).group_by(keys).agg(pl.col("grade").max().alias(name))
        rows = rows.join(graded, on=keys, how="left")
    rows = rows.with_columns(grade=pl.max_horizontal("whole", "single")).sort("query", "lang", "doc")
    is_own = (pl.col("only_own") | pl.col("is_own_doc").fill_null(False)) & pl.col("grade").is_null()
    query = rows["query"].to_numpy()
    related = Related(
        _first(query, len(frame)),
        query,
        rows["lang"].to_numpy(),
        rows["doc"].to_numpy(),
        rows["bucket"].to_numpy(),
        rows["grade"].is_not_null().to_numpy(),
        rows["grade"].fill_null(0).to_numpy(),
        np.full(len(rows), np.nan, np.float32),
        rows.select(is_own).to_series().to_numpy(),
    )
    gold_groups = rows.filter(pl.col("grade").is_not_null()).select("query", "group").unique()
    n_gold_groups = np.bincount(gold_groups["query"].to_numpy(), minlength=len(frame))
    return Queries(frame["query_id"], n_gold_groups, related, tie_order(frame["group_id"], list(code)))


def _first(query: np.ndarray, n_queries: int) -> np.ndarray:
    """Where each query's rows begin in an array sorted by query; one more entry than queries."""
    return np.searchsorted(query, np.arange(n_queries + 1)).astype(np.int64)


def _frame(table: object) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(table))
