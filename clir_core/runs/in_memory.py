"""Ranking by what stores no vectors: BM25, a run file, weighted terms, several vectors a text.

Texts are encoded in this process, and kept until the ranking ends.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sized
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from clir_core.audit.spec import AuditSpec
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import documents_of, queries_of
from clir_core.model.checkpoint import Checkpoint
from clir_core.rank.batches import check_fits
from clir_core.rank.forms import Sparse, Tokens
from clir_core.rank.plan import Plan, make_plan
from clir_core.rank.ranked import Ranked
from clir_core.rank.ranking import in_threads, rank_plan
from clir_core.spec import sha256_of
from clir_core.workspace.progress import Bars, Progress
from clir_core.workspace.steps import once

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder, SparseEncoder

_UNSCORED = {
    "run": "Not in the run",
    "bm25": "Without a term in common with their query",
    "sparse": "Without a term in common with their query",
}


class Encoded(NamedTuple):
    """All documents and queries, in the order of a plan, and what is to be said of them."""

    documents: Sparse | Tokens
    queries: Sparse | Tokens
    notes: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Hex sha256 over all of their numbers."""
        parts = [part for form in (self.documents, self.queries) for part in form.arrays()]
        return sha256_of([hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest() for part in parts])


def rank_texts(
    spec: AuditSpec, corpus: Corpus, checkpoint: Checkpoint, directory: Path, bars: Bars
) -> tuple[Ranked, bool]:
    """Rank every gold in every pool of the audit, in the step's directory; and whether that was done before."""

    def compute(scratch: Path) -> Ranked:
        plan = make_plan(corpus, corpus.languages, spec.scenarios, max(spec.cutoffs), spec.seed)
        check_fits(plan)  # before the costly part
        encoded = encode(checkpoint, *texts_of(plan, corpus), bars)
        ranked = rank_encoded(plan, encoded, scratch, bars("rank"))
        return ranked.model_copy(update={"notes": (*encoded.notes, *unscored(plan, checkpoint.kind))})

    return once(directory, Ranked, compute)


def texts_of(plan: Plan, corpus: Corpus) -> tuple[pl.DataFrame, pl.DataFrame]:
    """id and text of all documents and of all queries of a plan, in its order: a language after the other."""
    documents = pl.concat([found.doc_id for found in plan.documents.values()])
    queries = pl.concat([found.query_id for found in plan.queries.values()])
    wanted = ((documents, documents_of(corpus)), (queries, queries_of(corpus)))
    one, other = (
        pl.DataFrame({"id": ids}).join(texts.select("id", "text"), on="id", how="left", maintain_order="left")
        for ids, texts in wanted
    )
    return one, other


def encode(checkpoint: Checkpoint, documents: pl.DataFrame, queries: pl.DataFrame, bars: Bars) -> Encoded:
    """What such a checkpoint makes of the texts (id, text)."""
    if checkpoint.kind == "run":
        return _of_run(checkpoint.path, documents["id"], queries["id"])
    texts, asked = documents["text"].to_list(), queries["text"].to_list()
    if checkpoint.kind == "bm25":
        from clir_core.model.bm25 import weighed

        weights, counts = weighed(texts, asked)
        return Encoded(Sparse(weights), Sparse(counts))
    prompts = {kind: checkpoint.prompt(kind) for kind in ("document", "query")}
    return encode_with(_loaded(checkpoint), prompts, texts, asked, bars)


def check_loads(checkpoint: Checkpoint) -> None:
    """ModelError where it cannot be loaded, or its run cannot be read."""
    if checkpoint.kind == "run":
        from clir_core.model.run_file import read_run

        read_run(checkpoint.path)
    elif checkpoint.kind != "bm25":
        _loaded(checkpoint)


def encode_with(
    model: "SparseEncoder | MultiVectorEncoder",
    prompts: Mapping[str, str],
    documents: list[str],
    queries: list[str],
    bars: Bars,
) -> Encoded:
    """What a model in memory makes of texts; `prompts` go before those of each kind, `query` and `document`."""
    from sentence_transformers import SparseEncoder

    from clir_core.model.other_encoders import encode_multi_vector, encode_sparse

    def form(texts: list[str], kind: str) -> Sparse | Tokens:
        prompt, progress = prompts[kind] or None, bars(f"embed-{kind}")
        if isinstance(model, SparseEncoder):
            return Sparse(encode_sparse(model, texts, kind, prompt, progress))
        return Tokens(*encode_multi_vector(model, texts, kind, prompt, progress))

    return Encoded(form(documents, "document"), form(queries, "query"))


def rank_encoded(plan: Plan, encoded: Encoded, directory: Path, progress: Progress) -> Ranked:
    """Rank every gold in every pool of the plan; ranks.parquet and topk.parquet go into the directory."""
    begin, asked = _begin(plan.documents), _begin(plan.queries)
    queries = {
        lang: encoded.queries.take(np.arange(asked[lang], asked[lang] + len(found)))
        for lang, found in plan.queries.items()
    }

    def read(lang: str, numbers: np.ndarray) -> Sparse | Tokens:
        return encoded.documents.take(begin[lang] + numbers)

    return rank_plan(plan, queries, read, in_threads(read, os.cpu_count() or 1), directory, progress)


def _loaded(checkpoint: Checkpoint) -> "SparseEncoder | MultiVectorEncoder":
    from clir_core.model.other_encoders import load_multi_vector, load_sparse  # transformers: seconds to import

    return load_sparse(checkpoint) if checkpoint.kind == "sparse" else load_multi_vector(checkpoint)


def _of_run(path: Path, doc_ids: pl.Series, query_ids: pl.Series) -> Encoded:
    from clir_core.model.run_file import placed, read_run

    run = read_run(path)
    weights, counts = placed(run, query_ids.to_list(), doc_ids.to_list())
    missing = len(query_ids) - int(query_ids.is_in(run.rows["query_id"].unique().implode()).sum())
    lacks = (f"{missing:,} of {len(query_ids):,} queries are not in the run.",) if missing else ()
    return Encoded(Sparse(weights), Sparse(counts), (*run.notes, *lacks))


def unscored(plan: Plan, kind: str) -> Iterator[str]:
    """How many golds get no score at all, in their query's language and in others, of those that pools ask for."""
    counts = {True: [0, 0], False: [0, 0]}
    for (query_lang, doc_lang), asked in plan.asked.items():
        if doc_lang in asked.gold_langs:
            scores = plan.queries[query_lang].related.score[plan.gold_rows(query_lang, (doc_lang,))]
            counts[query_lang == doc_lang][0] += int((scores == 0).sum())
            counts[query_lang == doc_lang][1] += len(scores)
    if kind in _UNSCORED and (counts[True][0] or counts[False][0]):
        said = [
            f"{n:,} of {total:,} relevant documents in {place}"
            for (n, total), place in ((counts[True], "their query's language"), (counts[False], "another language"))
            if total
        ]
        yield f"{_UNSCORED[kind]}: {' and '.join(said)}; each stands last in its pools."


def _begin(parts: Mapping[str, Sized]) -> dict[str, int]:
    """Where each language begins when all lie in a row."""
    return dict(zip(parts, np.cumsum([0, *map(len, parts.values())]).tolist(), strict=False))
