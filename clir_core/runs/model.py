"""An audit of a model that is in memory: a SentenceTransformer, or anything that encodes texts."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import polars as pl

from clir_core.audit.data_counts import cut_by_language
from clir_core.audit.data_facts import Cuts
from clir_core.audit.spec import BLOCK_TEXTS, DEFAULT_CLUSTER
from clir_core.corpus.clusters import cluster_queries
from clir_core.corpus.pivot import ENGLISH
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import document_texts, in_blocks, query_texts
from clir_core.errors import ModelError
from clir_core.model.checkpoint import Kind
from clir_core.model.prompts import own_prompts
from clir_core.model.reading import Reading
from clir_core.rank.plan import Plan
from clir_core.rank.ranked import Ranked
from clir_core.runs.audited import Audit
from clir_core.runs.made import Made
from clir_core.runs.vectors import AnyCorpus, audit_arrays, audit_ranked, checked, corpus_of, spec_of
from clir_core.scenarios import SCENARIOS, ScenarioName

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from clir_core.model.encoder import Encoder


def audit_model(
    model: Any,
    corpus: AnyCorpus = "demo",
    *,
    name: str | None = None,
    languages: Sequence[str] = (),
    scenarios: Sequence[ScenarioName] = SCENARIOS,
    cutoffs: Sequence[int] = (10,),
    seed: int = 0,
    cluster: str = DEFAULT_CLUSTER,
    pivot: str = ENGLISH,
) -> Audit:
    """Audit a model of sentence-transformers, or an object with `encode_query` and `encode_document`, or with `encode`.

    The corpus is a reference such as "demo" or "xquad:DIR", or frames of its three tables. Prompts, length and pooling
    are the model's own; vectors are compared by cosine, unless the model says otherwise. Intervals rest on
    `cluster`: "query", "passage", or a column of the corpus's queries; SpecError for another. Every language is held
    against `pivot`. Raises ModelError where it cannot be encoded with.
    """
    asked = corpus_of(corpus, languages, pivot)
    cluster_queries(asked, cluster)  # what is wrong with it is said before anything is encoded
    spec = spec_of(name or _name(model), corpus, asked, languages, scenarios, cutoffs, seed, cluster)
    if kind := _other_kind(model):
        return audit_ranked(asked, spec, lambda plan, directory: _ranked(model, kind, asked, plan, directory))
    encoded = _encoded(model, document_texts(asked), query_texts(asked))
    return audit_arrays(
        asked,
        checked("documents", encoded.documents_DH, asked.documents["doc_id"], encoded.similarity),
        checked("queries", encoded.queries_QH, asked.queries["query_id"], encoded.similarity),
        spec,
        encoded.cut,
    )


class _Encoded(NamedTuple):
    """Vectors of documents and of queries in their order, how they are compared, and what was cut."""

    documents_DH: np.ndarray
    queries_QH: np.ndarray
    similarity: Literal["cosine", "dot"] = "cosine"
    cut: Cuts = Cuts()


def _other_kind(model: Any) -> Kind | None:
    """Of a model that gives no single vector a text."""
    if "sentence_transformers" in sys.modules:
        from sentence_transformers import MultiVectorEncoder, SparseEncoder

        if isinstance(model, SparseEncoder):
            return "sparse"
        if isinstance(model, MultiVectorEncoder):
            return "multi_vector"
    return None


def _ranked(model: Any, kind: Kind, corpus: Corpus, plan: Plan, directory: Path) -> tuple[Ranked, Made]:
    """Ranks of a model of another kind, with prompts and length of its own."""
    from clir_core.runs.in_memory import encode_with, rank_encoded, texts_of, unscored

    documents, queries = texts_of(plan, corpus)
    own = own_prompts(model.prompts, model.default_prompt_name)
    prompts = {"query": own.query, "document": own.document}
    with _encoding(model):
        encoded = encode_with(model, prompts, documents["text"].to_list(), queries["text"].to_list(), lambda _: _quiet)
    ranked = rank_encoded(plan, encoded, directory, _quiet)
    reading = Reading(
        kind=kind, query_prompt=own.query, document_prompt=own.document, prompts_from=own.origin, notes=own.notes
    )
    made = Made(model=encoded.fingerprint(), reading=reading)
    return ranked.model_copy(update={"notes": tuple(unscored(plan, kind))}), made


def _quiet(done: int, total: int) -> None: ...


def _encoded(model: Any, documents: pl.DataFrame, queries: pl.DataFrame) -> _Encoded:
    if "sentence_transformers" in sys.modules:
        from sentence_transformers import SentenceTransformer

        if isinstance(model, SentenceTransformer):
            return _of_sentence_transformer(model, documents, queries)
    encode_document = getattr(model, "encode_document", None) or getattr(model, "encode", None)
    encode_query = getattr(model, "encode_query", None) or getattr(model, "encode", None)
    if not (callable(encode_document) and callable(encode_query)):
        raise ModelError(
            f"{type(model).__name__}: has neither encode_query and encode_document nor encode; give an object that "
            "has, or give the vectors themselves to audit_vectors"
        )
    return _Encoded(
        np.asarray(encode_document(documents["text"].to_list())), np.asarray(encode_query(queries["text"].to_list()))
    )


def _of_sentence_transformer(model: "SentenceTransformer", documents: pl.DataFrame, queries: pl.DataFrame) -> _Encoded:
    """In the batches of `clir audit`, so to the same bits."""
    from clir_core.model.encoder import Encoder

    similarity = str(model.similarity_fn_name or "cosine")
    if similarity not in ("cosine", "dot"):
        raise ModelError(f"{_name(model)}: ranks by {similarity!r}; an audit knows cosine and dot products")
    own = own_prompts(model.prompts, model.default_prompt_name)
    prompts = {"query": own.query, "document": own.document}
    with _encoding(model):
        encoder = Encoder(model, prompts, similarity == "cosine", _name(model), truncate_dim=model.truncate_dim)
        documents_DH, cut_documents = _in_order(encoder, documents, "document")
        queries_QH, cut_queries = _in_order(encoder, queries, "query")
    cut = Cuts(documents=cut_documents, queries=cut_queries)
    return _Encoded(documents_DH, queries_QH, "dot" if similarity == "dot" else "cosine", cut)


def _in_order(encoder: "Encoder", texts: pl.DataFrame, kind: str) -> tuple[np.ndarray, dict[str, int]]:
    """Vectors of texts in their order, encoded in the blocks that a stored table is filled in; how many were cut."""
    found_NH, is_cut_N = np.empty((len(texts), encoder.dim), np.float32), np.empty(len(texts), bool)
    for block in in_blocks(texts.with_row_index("row"), BLOCK_TEXTS):
        at = block["row"].to_numpy()
        found_NH[at], is_cut_N[at] = encoder.encode_telling_cuts(block["text"].to_list(), kind)
    return found_NH, cut_by_language(texts.with_columns(is_cut=is_cut_N))


@contextmanager
def _encoding(model: Any) -> Iterator[None]:
    """The model as an audit uses it, and afterwards as it was: it may be in the middle of its training."""
    from clir_core.model.linear import as_onednn

    was_training, default = model.training, model.default_prompt_name
    model.eval()
    model.default_prompt_name = None
    try:
        with as_onednn(model):
            yield
    finally:
        model.default_prompt_name = default
        model.train(was_training)


def _name(model: Any) -> str:
    card = getattr(model, "model_card_data", None)
    return str(getattr(card, "model_id", None) or getattr(card, "base_model", None) or type(model).__name__)
