"""The worst queries: where a gold ended up far down, and what was ranked above it; and the one that shows a claim."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import langcodes
import polars as pl

from clir_core.audit.claim import Claim
from clir_core.corpus.lang import language_name
from clir_core.corpus.tables import QUERIES, Corpus
from clir_core.scenarios.multi import NAME as MULTI

RIGHT_TO_LEFT = frozenset({"Arab", "Hebr", "Syrc", "Thaa", "Nkoo", "Adlm", "Rohg", "Mand", "Samr"})
UNRELATED = "unrelated"
SNIPPET, QUERY = 180, 400  # characters shown of a document and of a query
KEY = ("lang", "query_lang", "query_id")
Rows = pl.DataFrame | pl.LazyFrame


@dataclass(frozen=True)
class Passage:
    """A text with what a browser needs to set it right."""

    lang: str
    direction: str
    text: str


@dataclass(frozen=True)
class GoldRank:
    """Where one gold is, and the unrelated documents above it by language."""

    passage: Passage
    rank: int
    above: str


@dataclass(frozen=True)
class Hit:
    """One of the top documents."""

    position: int
    passage: Passage
    relation: str
    score: float


@dataclass(frozen=True)
class WorstQuery:
    """A query, its golds and the top documents of its pool. `version` is its version in the pivot, if it is another."""

    lang: str
    query: Passage
    version: str | None
    max_rank: int
    pool_size: int
    golds: tuple[GoldRank, ...]
    hits: tuple[Hit, ...]


@dataclass(frozen=True)
class Failure:
    """One query, its gold that comes last, and the first unrelated document above it, of the language that wins."""

    query: WorstQuery
    gold: GoldRank
    above: Hit | None
    claimed: bool


def direction(lang: str) -> str:
    """rtl or ltr, by the script that the language is usually written in."""
    return "rtl" if langcodes.Language.get(lang).maximize().script in RIGHT_TO_LEFT else "ltr"


def snippet(text: str, length: int = SNIPPET) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def worst_queries(ranks: Rows, topk: Rows, corpus: Corpus, n: int = 10) -> tuple[WorstQuery, ...]:
    """The n worst of multi, each language in turn; queries whose golds are all on top are never among them."""
    golds, top = (rows.lazy().filter(pl.col("scenario") == MULTI) for rows in (ranks, topk))
    return _described(golds, top, corpus, n)


def failure(claims: Sequence[Claim], ranks: Rows, topk: Rows, corpus: Corpus) -> Failure | None:
    """The worst query of what is claimed first, from its telling side; None where none failed, or nothing is claimed.

    Where a language wins, one that has an unrelated document of it above the gold is preferred.
    """
    if not claims:
        return None
    lang, side = claims[0].language, claims[0].telling
    asked = [pl.col("scenario") == (side.scenario if side else MULTI), pl.col("lang") == lang]
    asked += [pl.col("query_lang") == side.query_lang] if side else []
    winners = (corpus.pivot if side.wins_pivot else lang,) if side else (corpus.pivot, lang)
    golds, top = (rows.lazy().filter(*asked) for rows in (ranks, topk))
    wrong = top.filter(pl.col("relation") == UNRELATED, pl.col("doc_lang").is_in(winners))
    last = golds.group_by(KEY).agg(pl.col("rank").max().alias("last"))
    shows = wrong.join(last, on=KEY).filter(pl.col("position") < pl.col("last"))
    found = _described(golds.join(shows, on=KEY, how="semi"), top, corpus, 1) or _described(golds, top, corpus, 1)
    if not found:
        return None
    gold, unrelated = found[0].golds[-1], [hit for hit in found[0].hits if hit.relation == UNRELATED]
    above = [hit for hit in unrelated if hit.position < gold.rank]
    above.sort(key=lambda hit: hit.passage.lang not in winners)
    return Failure(found[0], gold, next(iter(above), None), claimed=side is not None)


def _described(ranks: pl.LazyFrame, topk: pl.LazyFrame, corpus: Corpus, n: int) -> tuple[WorstQuery, ...]:
    """The n worst of one scenario's rows."""
    chosen = pick(ranks.select(*KEY, "rank", "pool_size", "n_golds").collect(), n)
    keys = chosen.lazy().select(KEY)
    golds = ranks.join(keys, on=KEY, how="semi").collect().sort("rank")
    hits = topk.join(keys, on=KEY, how="semi").collect().sort("position")
    texts = _texts(corpus.documents, "doc_id", [*golds["doc_id"], *hits["doc_id"]])
    queries = _queries(corpus, chosen["query_id"])
    return tuple(
        _worst(row, _of(golds, row), _of(hits, row), texts, queries, corpus.pivot) for row in chosen.to_dicts()
    )


def pick(multi: pl.DataFrame, n: int) -> pl.DataFrame:
    """Keys, max_rank and pool_size of the n worst queries: every language's worst, then every second worst, ..."""
    per_query = multi.group_by(KEY).agg(
        pl.col("rank").max().alias("max_rank"), pl.col("pool_size").first(), pl.col("n_golds").first()
    )
    # without this order ties would come out differently from run to run
    missed = per_query.filter(pl.col("max_rank") > pl.col("n_golds")).sort(
        "max_rank", *KEY, descending=[True, False, False, False]
    )
    turns = missed.with_columns(pl.int_range(pl.len()).over("lang").alias("turn"))
    return turns.sort("turn", "max_rank", *KEY, descending=[False, True, False, False, False]).head(n)


def _of(frame: pl.DataFrame, key: Mapping[str, Any]) -> list[dict[str, Any]]:
    return frame.filter(*(pl.col(name) == key[name] for name in KEY)).to_dicts()


def _texts(table: Any, key: str, ids: Iterable[str]) -> dict[str, str]:
    frame = pl.DataFrame(pl.from_arrow(table)).filter(pl.col(key).is_in(list(set(ids))))
    return dict(zip(frame[key], frame["text"], strict=True))


def _queries(corpus: Corpus, ids: pl.Series) -> dict[str, tuple[str, str | None]]:
    """Text and version in the pivot by query id."""
    frame = pl.DataFrame(pl.from_arrow(corpus.queries.select(QUERIES.names)))
    versions = frame.filter(pl.col("lang") == corpus.pivot).unique("group_id", keep="first", maintain_order=True)
    joined = frame.filter(pl.col("query_id").is_in(ids.implode())).join(
        versions.select("group_id", version="text"), on="group_id", how="left"
    )
    return {row["query_id"]: (row["text"], row["version"]) for row in joined.to_dicts()}


def _worst(
    row: Mapping[str, Any],
    golds: list[dict[str, Any]],
    hits: list[dict[str, Any]],
    texts: Mapping[str, str],
    queries: Mapping[str, tuple[str, str | None]],
    pivot: str,
) -> WorstQuery:
    lang = row["query_lang"]
    text, version = queries.get(row["query_id"], (row["query_id"], None))
    return WorstQuery(
        lang=row["lang"],
        query=_passage(lang, text, QUERY),
        version=snippet(version, QUERY) if version and lang != pivot else None,
        max_rank=row["max_rank"],
        pool_size=row["pool_size"],
        golds=tuple(
            GoldRank(_passage(gold["gold_lang"], texts.get(gold["doc_id"], "")), gold["rank"], _above(gold))
            for gold in golds
        ),
        hits=tuple(
            Hit(hit["position"], _passage(hit["doc_lang"], texts.get(hit["doc_id"], "")), hit["relation"], hit["score"])
            for hit in hits
        ),
    )


def _passage(lang: str, text: str, length: int = SNIPPET) -> Passage:
    return Passage(lang, direction(lang), snippet(text, length))


def _above(gold: Mapping[str, Any]) -> str:
    counts = {name.removeprefix("outranking_"): n for name, n in gold.items() if name.startswith("outranking_") and n}
    return ", ".join(f"{n:,} {language_name(lang)}" for lang, n in sorted(counts.items(), key=lambda pair: -pair[1]))
