"""A look at a corpus without an audit: what would be read, how, and what is suspicious about it."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from clir_core.audit.data_counts import count_facts
from clir_core.audit.data_facts import Cuts, sentences
from clir_core.corpus.own import own_documents
from clir_core.corpus.reading import ReadingSpec
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import documents_of, queries_of
from clir_core.errors import ModelError
from clir_core.model.checkpoint import EncodingSpec
from clir_core.sources import read_corpus

FEW = 50  # queries of a language, of which no audit can say much


class LanguageLook(NamedTuple):
    """One language: how many of each, and their size."""

    lang: str
    documents: int
    queries: int
    qrels: int
    parallel: int  # documents that have a version in the pivot, or of the pivot's any other
    characters: int
    longest: int
    tokens: int | None


class CorpusLook(NamedTuple):
    """What was found."""

    name: str
    groups: int
    parallel_groups: int
    languages: tuple[LanguageLook, ...]
    notes: tuple[str, ...]
    skipped: tuple[str, ...]
    suspicious: tuple[str, ...]


def look(reference: str, languages: Sequence[str], reading: ReadingSpec, model: str | None = None) -> CorpusLook:
    """Read the corpus as an audit would, and count. Tokens are of the model's tokenizer, without prompts."""
    corpus = read_corpus(reference, languages, reading)
    documents, queries = documents_of(corpus), queries_of(corpus).select("id", "group_id", "lang", "text")
    texts = pl.concat([documents, queries])
    tokens = _tokens(model, texts) if model else {}
    versions = documents.group_by("group_id").agg(pl.col("lang").n_unique())
    facts = count_facts(corpus, (), 0, Cuts()).model_copy(update={"notes": ()})
    return CorpusLook(
        corpus.name,
        len(versions),
        int((versions["lang"] > 1).sum()),
        tuple(_language(lang, corpus, documents, queries, tokens) for lang in corpus.languages),
        corpus.notes,
        tuple(f"{one.what}, {one.count:,}: {one.reason} ({', '.join(one.examples)})" for one in corpus.skipped),
        (*_few(corpus, queries), *_own(corpus), *sentences(facts)),
    )


def _language(
    lang: str, corpus: Corpus, documents: pl.DataFrame, queries: pl.DataFrame, tokens: dict[str, int]
) -> LanguageLook:
    own, others = documents.filter(pl.col("lang") == lang), documents.filter(pl.col("lang") != lang)
    asked = queries.filter(pl.col("lang") == lang)
    judged = pl.DataFrame(pl.from_arrow(corpus.qrels)).join(asked, left_on="query_id", right_on="id", how="semi")
    length = pl.concat([own, asked])["text"].str.len_chars()
    versions = others if lang == corpus.pivot else others.filter(pl.col("lang") == corpus.pivot)
    return LanguageLook(
        lang,
        len(own),
        len(asked),
        len(judged),
        len(own.join(versions, on="group_id", how="semi")),
        int(length.sum()),
        int(length.to_numpy().max(initial=0)),
        tokens.get(lang),
    )


def _few(corpus: Corpus, queries: pl.DataFrame) -> list[str]:
    counts = dict(queries.group_by("lang").len().iter_rows())
    few = [f"{lang} {counts.get(lang, 0)}" for lang in corpus.languages if counts.get(lang, 0) < FEW]
    return [f"Fewer than {FEW} queries, of which an audit can say little: {', '.join(few)}."] if few else []


def _own(corpus: Corpus) -> list[str]:
    own = len(own_documents(corpus))
    return [f"{own:,} queries are documents themselves, by id and text; no pool of theirs holds those."] if own else []


def _tokens(model: str, texts: pl.DataFrame) -> dict[str, int]:
    from transformers import AutoTokenizer  # seconds to import

    from clir_core.model.checkpoint import resolve
    from clir_core.spec import WORKSPACE
    from clir_core.workspace import layout

    checkpoint = resolve(model, EncodingSpec(), layout.models(WORKSPACE), "float32")
    # in its own folder, or in that of its first module
    places = sorted(checkpoint.path.rglob("tokenizer*.json"), key=lambda path: len(path.parts))
    if not places:
        raise ModelError(f"{checkpoint.path}: has no tokenizer.json to count tokens with; leave the model out")
    tokenizer = AutoTokenizer.from_pretrained(places[0].parent)
    counts = [len(ids) for ids in tokenizer(texts["text"].to_list(), truncation=False, verbose=False)["input_ids"]]
    found = texts.select("lang", tokens=pl.Series(counts, dtype=pl.Int64)).group_by("lang").agg(pl.col("tokens").sum())
    return dict(found.iter_rows())
