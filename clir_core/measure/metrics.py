"""Metrics: each is a name, a unit and a Polars expression over the golds of one query in one pool.

One row a query and pool here, means over queries in `stats`. Definitions are trec_eval's where it has them, else those
of Hong et al. 2026 (arXiv 2604.05684, "the paper"), MLAIRE (2605.07249), SHIFT (2606.18801), 2408.10536, 2509.06195.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from clir_core.corpus.tables import ENGLISH

POOL = ("scenario", "query_lang", "lang")
QUERY = (*POOL, "query_id")
_OTHER = pl.col("gold_lang") != pl.col("query_lang")


@dataclass(frozen=True)
class Metric:
    """One figure of one query in one pool, over its golds' rows; null where it is not defined, which does not count."""

    name: str
    value: pl.Expr
    unit: str


def standard(cutoffs: Sequence[int]) -> list[Metric]:
    """Metrics of every pool: the paper's, and those of trec_eval."""
    metrics = [
        Metric("max_at_r", pl.col("rank").max(), "rank"),
        Metric("max_at_r_norm", _max_at_r_norm(), "percent"),
        Metric("mrr", 1 / pl.col("rank").min(), "rate"),
        Metric("acc@1", pl.col("rank").min() <= 1, "rate"),
    ]
    for k in cutoffs:
        metrics += [
            Metric(f"complete@{k}", pl.col("rank").max() <= k, "rate"),
            Metric(f"ndcg@{k}", _ndcg(k), "rate"),
            Metric(f"recall@{k}", (pl.col("rank") <= k).mean(), "rate"),
        ]
    return metrics


def of_versions(cutoffs: Sequence[int]) -> list[Metric]:
    """Metrics of pools that hold a gold in several languages: multi and nway. `tlr` is SHIFT's, `lpr` MLAIRE's."""
    found = [Metric(f"tlr@{k}", (pl.col("rank") <= k).filter(_OTHER).mean(), "rate") for k in cutoffs]
    return [*found, Metric("lpr", _over_versions(_preference()), "rate")]


def of_multi() -> list[Metric]:
    """Metrics of English beside one language: both golds' pulls and the distance of their ranks (2408.10536)."""
    return [
        Metric("rank_distance", _over_versions((pl.col("own") - pl.col("other")).abs()), "ranks"),
        Metric("pull(x)", _pull(pl.col("gold_lang") != ENGLISH), "share"),
        Metric("pull(en)", _pull(pl.col("gold_lang") == ENGLISH), "share"),
    ]


def of_distractor() -> list[Metric]:
    """Metrics of unrelated English beside a gold that has no English version."""
    return [
        # the best gold: with several, a late one lies behind strangers of every language
        Metric("inclination_rate", pl.col(f"outranking_{ENGLISH}").min() > 0, "rate"),
        Metric("pull(x)", _pull(pl.col("gold_lang") != ENGLISH), "share"),
    ]


def per_query(ranks: pl.DataFrame, top: pl.DataFrame, queries: pl.DataFrame, cutoffs: Sequence[int]) -> pl.DataFrame:
    """One row a query and pool, one column a metric. `query_lang` is null where a row compares X's query to English's.

    ranks and top are of `pools`; queries has query_id and group_id, which parallel queries share.
    """
    single = _single(ranks, top, cutoffs)
    return pl.concat([single, _paired(single, top, queries, cutoffs)], how="diagonal_relaxed")


def units(cutoffs: Sequence[int]) -> dict[str, str]:
    """The unit of every metric, in the order of the result."""
    found = [*standard(cutoffs), *of_distractor(), *of_multi(), *of_versions(cutoffs)]
    named = {metric.name: metric.unit for metric in found}
    named |= {f"quadrant({meaning},{lang})": "rate" for meaning in ("right", "wrong") for lang in ("query", "other")}
    named |= {f"english_share@{k}": "share" for k in cutoffs}
    named |= {f"language_gap({metric.name})": metric.unit for metric in standard(cutoffs)}
    return named | {f"mrc@{k}": "correlation" for k in cutoffs}


def _single(ranks: pl.DataFrame, top: pl.DataFrame, cutoffs: Sequence[int]) -> pl.DataFrame:
    ranks = ranks.with_columns(outranking=pl.sum_horizontal(pl.col(r"^outranking_.*$")))
    table = _table(ranks, standard(cutoffs))
    versions = ranks.filter(pl.col("scenario").is_in(["multi", "nway"]))
    extra = [
        _table(_beside_own(versions), of_versions(cutoffs)),
        _table(_beside_own(versions.filter(pl.col("scenario") == "multi")), of_multi()),
        _table(ranks.filter(pl.col("scenario") == "distractor"), of_distractor()),
        _quadrants(top),
        _english_share(ranks, top, cutoffs),
    ]
    for part in extra:
        # distractor's pull and multi's are one column
        shared = [name for name in part.columns if name in table.columns and name not in QUERY]
        table = table.join(part, on=QUERY, how="left", nulls_equal=True, suffix="_new")
        table = table.with_columns(pl.coalesce(name, f"{name}_new").alias(name) for name in shared)
        table = table.drop(f"{name}_new" for name in shared)
    return table


def _table(ranks: pl.DataFrame, metrics: Sequence[Metric]) -> pl.DataFrame:
    values = [metric.value.cast(pl.Float64).alias(metric.name) for metric in metrics]
    return ranks.group_by(QUERY, maintain_order=True).agg(values)


def _max_at_r_norm() -> pl.Expr:
    """100 when the golds are on top, 0 when the last is last; log2, so that 2 against 4 weighs as 200 against 400."""
    size, golds = pl.col("pool_size").first().log(2), pl.col("n_golds").first().log(2)
    return pl.when(size > golds).then(100 * (size - pl.col("rank").max().log(2)) / (size - golds)).otherwise(100.0)


def _ndcg(k: int) -> pl.Expr:
    """trec_eval's ndcg_cut: the gain is the grade, the discount log2(rank + 1)."""
    gain = (pl.col("grade") / (pl.col("rank") + 1).log(2)).filter(pl.col("rank") <= k).sum()
    ideal = pl.col("grade").sort(descending=True).head(k)
    return gain / (ideal / (pl.int_range(1, ideal.len() + 1) + 1).log(2)).sum()


def _pull(golds: pl.Expr) -> pl.Expr:
    """English's share of what outranks these golds, minus its share of the pool's unrelated documents."""
    english, everything = (pl.col(name).filter(golds).sum() for name in (f"outranking_{ENGLISH}", "outranking"))
    share = pl.col("unrelated_en").first() / pl.col("unrelated").first()
    return pl.when(everything > 0).then(english / everything - share)


def _beside_own(ranks: pl.DataFrame) -> pl.DataFrame:
    """Each gold with `own`, the rank of its version in the query's language, and `other`, its own where it differs."""
    own = pl.col("rank").filter(~_OTHER).first().over(*QUERY, "group_id")
    return ranks.with_columns(own=own, other=pl.when(_OTHER).then("rank"))


def _preference() -> pl.Expr:
    """1 where the query's language comes first, 0 where the other version does, a half for a tie."""
    return (pl.col("own") < pl.col("other")).cast(pl.Float64) + 0.5 * (pl.col("own") == pl.col("other"))


def _over_versions(value: pl.Expr) -> pl.Expr:
    return value.filter(pl.col("other").is_not_null()).mean()


def _quadrants(top: pl.DataFrame) -> pl.DataFrame:
    """MLAIRE's four ways of the first document: right or wrong meaning, in the query's or in another language."""
    first = top.filter((pl.col("position") == 1) & pl.col("scenario").is_in(["multi", "nway"]))
    right, same = pl.col("relation") != "unrelated", pl.col("doc_lang") == pl.col("query_lang")
    cells = [
        (meaning & lang).cast(pl.Float64).alias(f"quadrant({meaning_name},{lang_name})")
        for meaning_name, meaning in (("right", right), ("wrong", ~right))
        for lang_name, lang in (("query", same), ("other", ~same))
    ]
    return first.select(*QUERY, *cells)


def _english_share(ranks: pl.DataFrame, top: pl.DataFrame, cutoffs: Sequence[int]) -> pl.DataFrame:
    mixed = top.filter(pl.col("scenario").is_in(["multi", "distractor", "nway"]))
    pool = ranks.group_by(QUERY).agg(share=(pl.col("pool_en") / pl.col("pool_size")).first())
    english = pl.col("doc_lang") == ENGLISH
    found = mixed.group_by(QUERY, maintain_order=True).agg(
        english.filter(pl.col("position") <= k).mean().alias(f"english_share@{k}") for k in cutoffs
    )
    found = found.join(pool, on=QUERY, nulls_equal=True)
    return found.with_columns(pl.col(f"english_share@{k}") - pl.col("share") for k in cutoffs).drop("share")


def _paired(table: pl.DataFrame, top: pl.DataFrame, queries: pl.DataFrame, cutoffs: Sequence[int]) -> pl.DataFrame:
    """`multi` once more, X's query against its parallel English one: language gaps and rank correlations."""
    names = [metric.name for metric in standard(cutoffs)]
    groups = queries.select("query_id", pair="group_id")
    multi = table.filter(pl.col("scenario") == "multi").join(groups, on="query_id")
    english, other = (multi.filter(side) for side in _sides())
    gaps = other.join(english, on=("scenario", "lang", "pair"), suffix="_en").select(
        *QUERY, *((pl.col(f"{name}_en") - pl.col(name)).alias(f"language_gap({name})") for name in names)
    )
    lists = top.filter(pl.col("scenario") == "multi").join(groups, on="query_id")
    for k in cutoffs:
        gaps = gaps.join(_rank_correlation(lists, k), on=("lang", "query_id"), how="left")
    return gaps.with_columns(query_lang=pl.lit(None, pl.String))


def _sides() -> Iterator[pl.Expr]:
    yield pl.col("query_lang") == ENGLISH
    yield pl.col("query_lang") != ENGLISH


def _rank_correlation(lists: pl.DataFrame, k: int) -> pl.DataFrame:
    """Spearman's correlation of two top-k lists over the documents of either; one that a list lacks has rank k + 1."""
    english, other = (lists.filter(side, pl.col("position") <= k) for side in _sides())
    # only pairs that both were asked
    asked = english.select("lang", "pair").unique()
    pairs = other.select("lang", "pair", "query_id").unique().join(asked, on=("lang", "pair"))
    columns = ("lang", "pair", "doc_id", "position")
    both = other.select(columns).join(
        english.select(columns), on=("lang", "pair", "doc_id"), how="full", coalesce=True, suffix="_en"
    )
    both = both.with_columns(pl.col("position", "position_en").fill_null(k + 1))
    correlation = both.group_by("lang", "pair").agg(
        pl.when((pl.col("position") == pl.col("position_en")).all())
        .then(1.0)
        .otherwise(pl.corr("position", "position_en", method="spearman").fill_nan(None))
        .alias(f"mrc@{k}")
    )
    return pairs.join(correlation, on=("lang", "pair")).drop("pair")
