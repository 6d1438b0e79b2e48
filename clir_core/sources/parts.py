"""A corpus in parts, one a language: ids get the language as a prefix, and equal ids are translations or they are not.

Documents of several parts with one id are translations only where their lines give them one `group_id`, where the
user says so, or where their texts support it. So are queries, which also are where the same documents answer them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from clir_core.corpus.reading import ParallelRule, ReadingSpec
from clir_core.corpus.tables import DOCUMENTS, ORIGIN, QRELS, QUERIES, further_columns
from clir_core.sources.parallel import Evidence, compare
from clir_core.sources.rows import RawCorpus

_PLACE = [field.name for field in ORIGIN]
_SAME_ANSWERS = 0.5  # of the queries with one id, the share with the same golds


@dataclass(frozen=True)
class Part:
    """Raw tables of one part; `lang` is its language, or None where the rows say it.

    Ids are as they were read, a qrel's target is in `doc_id`, and what gives no `group_id` has null.
    """

    lang: str | None
    documents: pa.Table
    queries: pa.Table
    qrels: pa.Table


def joined(name: str, parts: Sequence[Part], reading: ReadingSpec, notes: Sequence[str] = ()) -> RawCorpus:
    """One corpus of all parts. Notes say which equal ids were taken for translations, and why."""
    documents, queries, qrels = (
        pl.concat([_frame(part, what) for part in parts], how="diagonal") for what in ("documents", "queries", "qrels")
    )
    said = list(notes)
    documents = _grouped(documents, "doc_id", _parallel_documents(documents, reading, said))
    aimed = _aimed(qrels, documents)
    queries = _grouped(queries, "query_id", _parallel_queries(queries, aimed, reading, said))
    further = [name for name in further_columns(queries.columns) if name not in ("part", "id")]
    return RawCorpus(
        name,
        documents.select(*DOCUMENTS.names, *_PLACE).to_arrow(),
        queries.select(*QUERIES.names, *_PLACE, *further).to_arrow(),
        aimed.select(*QRELS.names, *_PLACE).to_arrow(),
        notes=tuple(said),
    )


def _frame(part: Part, what: str) -> pl.DataFrame:
    frame = pl.DataFrame(pl.from_arrow(getattr(part, what)))
    key = "doc_id" if what == "documents" else "query_id"
    lang = pl.lit(part.lang, pl.String)
    prefix = pl.lit(f"{part.lang}/" if part.lang else "")
    has_key = pl.col(key).is_not_null() & (pl.col(key) != "")
    columns = {"part": lang, "id": pl.col(key), key: pl.when(has_key).then(prefix + pl.col(key)).otherwise(pl.col(key))}
    if what == "qrels":
        return frame.with_columns(**columns, target=pl.coalesce("doc_id", "group_id")).drop("doc_id", "group_id")
    given = pl.when(pl.col("group_id").str.strip_chars() != "").then("group_id")
    return frame.with_columns(**columns, group_id=given, lang=lang if part.lang else pl.col("lang"))


def _parallel_documents(documents: pl.DataFrame, reading: ReadingSpec, notes: list[str]) -> frozenset[str]:
    """The parts whose documents are translations of those with the same id in the other parts of this kind."""
    title = pl.concat_str(pl.col("title").fill_null(""), pl.lit(" "), pl.col("text").fill_null(""))
    texts = documents.filter(pl.col("group_id").is_null()).with_columns(text=title)
    return _parallel_parts(texts, "Documents", reading, notes, {})


def _parallel_queries(
    queries: pl.DataFrame, qrels: pl.DataFrame, reading: ReadingSpec, notes: list[str]
) -> frozenset[str]:
    """The same of queries: those that the same groups of documents answer are, too."""
    golds = qrels.filter(pl.col("grade") > 0).drop_nulls("gold_group")
    golds = golds.group_by("part", "id").agg(pl.col("gold_group").unique().sort().str.join("\0"))
    pivot = golds.filter(pl.col("part") == reading.pivot)
    known = {}
    for lang in golds["part"].drop_nulls().unique().sort() if reading.parallel == "check" else ():
        both = golds.filter(pl.col("part") == lang).join(pivot, on="id", suffix="_pivot")
        same = both.filter(pl.col("gold_group") == pl.col("gold_group_pivot"))
        if len(same) and len(same) >= _SAME_ANSWERS * len(both):
            known[lang] = Evidence(True, f"{len(same)} of {len(both)} have the same golds")
    return _parallel_parts(queries.filter(pl.col("group_id").is_null()), "Queries", reading, notes, known)


def _parallel_parts(
    texts: pl.DataFrame, what: str, reading: ReadingSpec, notes: list[str], known: dict[str, Evidence]
) -> frozenset[str]:
    """The parts (part, id, text) that are taken as translations of the pivot's, which is among them, if any is."""
    found, rule = {reading.pivot}, reading.parallel
    texts = texts.select("part", "id", "text")  # further columns may be called as those of a join
    pivot = texts.filter(pl.col("part") == reading.pivot).unique("id", keep="first", maintain_order=True)
    for lang in texts["part"].drop_nulls().unique().sort():
        if lang == reading.pivot:
            continue
        other = texts.filter(pl.col("part") == lang).unique("id", keep="first", maintain_order=True)
        both = pivot.join(other, on="id", suffix="_x").sort("id")
        if both.is_empty():
            continue
        evidence = known.get(lang) or _evidence(both, rule)
        equal = f"{what} with one id in {reading.pivot} and {lang}: {len(both):,}"
        if evidence.is_parallel:
            found.add(lang)
            notes.append(f"{equal}, taken as translations of one another: {evidence.why}.")
        else:
            hint = "" if rule == "none" else "; if they are translations, say so by `parallel`: ids"
            notes.append(f"{equal}, not taken as translations of one another: {evidence.why}{hint}.")
    return frozenset(found) if len(found) > 1 else frozenset()


def _evidence(both: pl.DataFrame, rule: ParallelRule) -> Evidence:
    if rule == "check":
        return compare(both["text"].fill_null("").to_list(), both["text_x"].fill_null("").to_list())
    return Evidence(rule == "ids", "as asked for")


def _grouped(texts: pl.DataFrame, key: str, parallel: frozenset[str]) -> pl.DataFrame:
    """Each text's group: the one it gives, else its id where ids are shared, else its own with the prefix."""
    shares = pl.col("part").is_in(sorted(parallel)) | pl.col("part").is_null()
    own = pl.when(shares).then("id").otherwise(key)
    return texts.with_columns(group_id=pl.coalesce("group_id", own))


def _aimed(qrels: pl.DataFrame, documents: pl.DataFrame) -> pl.DataFrame:
    """Each qrel with the document or group that it means.

    A target is looked up among the part's own documents, then among groups, then among the other parts' documents. In
    a part, a document with translations stands for all of them.
    """
    known = documents.drop_nulls("id").unique("doc_id", keep="first", maintain_order=True)
    known = known.select("part", "id", "doc_id", "group_id", versions=pl.len().over("group_id"))
    own = known.select("part", target="id", own_doc="doc_id", own_group="group_id", versions="versions")
    groups = known.select(target="group_id", in_group=pl.lit(True)).unique("target")
    # of ids that several parts have, nobody knows which is meant
    elsewhere = known.filter(pl.len().over("id") == 1)
    elsewhere = elsewhere.select(target="id", far_part="part", far_doc="doc_id", far_group="group_id")
    # nor is an id another part's that numbers its documents alike: it is missing in its own
    alike = known.join(known, on="id", suffix="_far").filter(pl.col("part") != pl.col("part_far"))
    alike = alike.select("part", far_part="part_far", is_alike=pl.lit(True)).unique()
    rows = (
        qrels.join(own, on=["part", "target"], how="left", nulls_equal=True, maintain_order="left")
        .join(groups, on="target", how="left", maintain_order="left")
        .join(elsewhere, on="target", how="left", maintain_order="left")
        .join(alike, on=["part", "far_part"], how="left", maintain_order="left")
        .with_columns(pl.when(pl.col("is_alike").is_null()).then(name).alias(name) for name in ("far_doc", "far_group"))
    )
    stands = pl.col("own_doc").is_not_null() & pl.col("part").is_not_null() & (pl.col("versions") > 1)
    to_group = pl.col("own_doc").is_null() & pl.col("in_group")
    prefix = pl.when(pl.col("part").is_null()).then(pl.lit("")).otherwise(pl.col("part") + "/")
    named = pl.when(pl.col("target").is_not_null() & (pl.col("target") != "")).then(prefix + pl.col("target"))
    return rows.with_columns(
        group_id=pl.when(stands).then("own_group").when(to_group).then("target"),
        doc_id=pl.when(~stands & ~to_group.fill_null(False)).then(pl.coalesce("own_doc", "far_doc", named)),
        gold_group=pl.coalesce("own_group", pl.when(to_group).then("target"), "far_group"),
    )
