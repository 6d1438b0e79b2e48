"""What the texts and pools of an audit are like, counted: from a corpus to DataFacts. No count depends on row order."""

from collections.abc import Mapping, Sequence

import polars as pl

from clir_core.audit.data_facts import Cuts, DataFacts, LanguageFacts, SmallPool
from clir_core.corpus.own import own_documents
from clir_core.corpus.pivot import pivot_first
from clir_core.corpus.script import foreign
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import documents_of, queries_of
from clir_core.scenarios.pool_info import PoolInfo

N_EXAMPLES = 3

_Counts = Mapping[str, Mapping[str, int]]


def count_facts(
    corpus: Corpus, pools: Sequence[PoolInfo], cutoff: int, cut: Cuts, notes: tuple[str, ...] = ()
) -> DataFacts:
    """All that is known of a corpus and the pools made of it. `cutoff` is the largest, `notes` are the ranking's."""
    documents, queries = documents_of(corpus), queries_of(corpus)
    of_documents, of_queries = (_by_language(texts, corpus.pivot) for texts in (documents, queries))
    suspects, leaks = _suspects(documents, queries), _leaks(corpus)
    languages = pivot_first({*of_documents, *of_queries}, corpus.pivot)
    return DataFacts(
        languages=tuple(
            _row(lang, corpus.pivot, (of_documents, of_queries), leaks, suspects, cut) for lang in languages
        ),
        pivot=corpus.pivot,
        **_passages(corpus),
        cutoff=cutoff,
        small_pools=tuple(small_pools(pools, cutoff)),
        own_tokens=cut.own_tokens,
        notes=(*corpus.notes, *notes),
    )


def cut_by_language(texts: pl.DataFrame) -> dict[str, int]:
    """How many texts (lang, is_cut) are cut, by language; without those where a null says that it is not known."""
    counts = texts.group_by("lang").agg(pl.col("is_cut").sum(), unknown=pl.col("is_cut").null_count())
    return {lang: n for lang, n, unknown in counts.sort("lang").iter_rows() if not unknown}


def small_pools(pools: Sequence[PoolInfo], cutoff: int) -> list[SmallPool]:
    """Those that hold no more documents than the cutoff."""
    return [
        SmallPool(scenario=pool.scenario, query_lang=pool.query_lang, lang=pool.lang, documents=size)
        for pool in pools
        if (size := sum(pool.sizes.values())) <= cutoff
    ]


def _row(
    lang: str,
    pivot: str,
    counts: tuple[_Counts, _Counts],
    leaks: _Counts,
    suspects: Mapping[str, tuple[int, list[str]]],
    cut: Cuts,
) -> LanguageFacts:
    nothing = {"texts": 0, "duplicate": 0, "untranslated": 0}
    documents, queries = counts
    of_documents, of_queries = documents.get(lang, nothing), queries.get(lang, nothing)
    n_suspects, examples = suspects.get(lang, (0, []))
    of_pivot = documents.get(pivot, nothing)["texts"]
    is_pivot = lang == pivot
    return LanguageFacts(
        lang=lang,
        documents=of_documents["texts"],
        queries=of_queries["texts"],
        duplicate_documents=of_documents["duplicate"],
        duplicate_queries=of_queries["duplicate"],
        untranslated_documents=None if is_pivot else of_documents["untranslated"],
        untranslated_queries=None if is_pivot else of_queries["untranslated"],
        **{field: counts.get(lang, 0) for field, counts in leaks.items()},
        suspected_labels=n_suspects,
        suspected_examples=tuple(examples),
        cut_documents=cut.documents.get(lang),
        cut_queries=cut.queries.get(lang),
        english_share=None if is_pivot or not of_pivot else of_pivot / (of_pivot + of_documents["texts"]),
    )


def _by_language(texts: pl.DataFrame, pivot: str) -> _Counts:
    """Of each language: texts, extra copies of a text, and texts of groups whose pivot version has that very text."""
    versions = texts.filter(pl.col("lang") == pivot).select("group_id", version="text")
    pairs = texts.join(versions, on="group_id")
    start, same_start = (_start(pl.col(name)) for name in ("text", "version"))
    alike = pairs.filter(start == same_start).filter(_plain(pl.col("text")) == _plain(pl.col("version")))
    same = alike.group_by("lang").agg(untranslated=pl.col("id").n_unique())
    counts = texts.group_by("lang").agg(texts=pl.len(), duplicate=pl.len() - pl.col("text").n_unique())
    rows = counts.join(same, on="lang", how="left").with_columns(pl.col("untranslated").fill_null(0))
    return {row.pop("lang"): row for row in rows.to_dicts()}


def _leaks(corpus: Corpus) -> _Counts:
    """Queries that are the title, and those that are the text of a document of their language, by field and language.

    A query that is a document itself never meets it; a copy of that is a repeated document.
    """
    documents, queries = (pl.DataFrame(pl.from_arrow(table)) for table in (corpus.documents, corpus.queries))
    asked = queries.select("query_id", "lang", "text", start=_start(pl.col("text")).str.to_lowercase())
    asked = asked.with_columns(_plain(pl.col("text")).str.to_lowercase())

    def are(column: str) -> pl.DataFrame:
        held = documents.select("lang", text=column).with_columns(start=_start(pl.col("text")).str.to_lowercase())
        held = held.join(asked, on=["lang", "start"], how="semi")
        return asked.join(held.with_columns(_plain(pl.col("text")).str.to_lowercase()), on=["lang", "text"], how="semi")

    whole = are("text").join(own_documents(corpus), on="query_id", how="anti")
    found = {"title_queries": are("title"), "document_queries": whole}
    return {field: dict(part.group_by("lang").len().iter_rows()) for field, part in found.items()}


def _plain(text: pl.Expr) -> pl.Expr:
    """A text in Unicode's compatible forms, and with one space where there is any white space."""
    return text.str.normalize("NFKC").str.replace_all(r"\s+", " ").str.strip_chars()


def _start(text: pl.Expr) -> pl.Expr:
    """Of a plain text the first words: texts are long, and most differ from there on."""
    return _plain(text.str.head(64)).str.head(16)


def _suspects(*kinds: pl.DataFrame) -> dict[str, tuple[int, list[str]]]:
    """Texts in a script that their language is not written in, by language: how many, and the first few ids."""
    found: dict[str, tuple[int, list[str]]] = {}
    for texts in kinds:
        for (lang,), part in texts.group_by("lang"):
            ids = foreign(part, str(lang))["id"].sort()
            n, examples = found.get(str(lang), (0, []))
            found[str(lang)] = (n + len(ids), [*examples, *ids.head(N_EXAMPLES)][:N_EXAMPLES])
    return found


def _passages(corpus: Corpus) -> dict[str, int | float]:
    """How many questions there are about how many passages; a passage is a group of documents, in any language."""
    queries = pl.DataFrame(pl.from_arrow(corpus.queries)).select("query_id", question="group_id")
    documents = pl.DataFrame(pl.from_arrow(corpus.documents)).select("doc_id", of_document="group_id")
    asked = (
        pl.DataFrame(pl.from_arrow(corpus.qrels))
        .filter(pl.col("grade") > 0)
        .join(queries, on="query_id")
        .join(documents, on="doc_id", how="left")
        .select("question", passage=pl.coalesce("group_id", "of_document"))
        .drop_nulls()
        .unique()
    )
    per_passage = asked.group_by("passage").len()["len"].to_list()
    return {
        "questions": asked["question"].n_unique(),
        "passages": len(per_passage),
        "questions_per_passage": len(asked) / len(per_passage) if per_passage else 0.0,
        "most_questions": max(per_passage, default=0),
    }
