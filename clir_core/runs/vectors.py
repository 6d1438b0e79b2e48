"""An audit of vectors that somebody else made, by any API, index or framework. Nothing is encoded or stored."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa

from clir_core.audit.data_facts import Cuts
from clir_core.audit.spec import DEFAULT_CLUSTER, AuditSpec
from clir_core.corpus.clusters import cluster_queries
from clir_core.corpus.lang import canonical
from clir_core.corpus.pivot import ENGLISH
from clir_core.corpus.reading import ReadingSpec
from clir_core.corpus.tables import Corpus
from clir_core.errors import VectorsError
from clir_core.model.given import IDS, VECTORS, listed, stacked, unit, unusable
from clir_core.rank.plan import Plan, make_plan
from clir_core.rank.ranked import Ranked
from clir_core.rank.ranking import in_threads, rank_plan
from clir_core.runs.audit import measure, result
from clir_core.runs.audited import Audit
from clir_core.runs.made import Made
from clir_core.scenarios import SCENARIOS, ScenarioName
from clir_core.sources import frames, read_corpus
from clir_core.sources.choice import choose_languages
from clir_core.spec import sha256_of

# rows in the order of the corpus, a table of ids and vectors, or a vector for each id
Vectors = np.ndarray | Mapping[str, Sequence[float]] | Any
# a reference, a corpus, or its three frames
AnyCorpus = str | Corpus | Mapping[str, Any]


def audit_vectors(
    corpus: AnyCorpus,
    *,
    documents: Vectors,
    queries: Vectors,
    name: str,
    languages: Sequence[str] = (),
    scenarios: Sequence[ScenarioName] = SCENARIOS,
    cutoffs: Sequence[int] = (10,),
    similarity: Literal["cosine", "dot"] = "cosine",
    seed: int = 0,
    cluster: str = DEFAULT_CLUSTER,
    pivot: str = ENGLISH,
) -> Audit:
    """Audit vectors of a corpus's documents and queries: a reference such as "demo", or frames of all three tables.

    Vectors are an id-to-vector mapping, a table with the columns `id` and `vector`, or an array whose rows follow the
    corpus: the frames as given, or `read_corpus(reference, languages)`. With cosine they get length 1, unless they have
    it. Intervals rest on `cluster`: "query", "passage", or a column of the corpus's queries; SpecError for another.
    Every language is held against `pivot`. Raises VectorsError that names a vector that is missing, superfluous, not
    finite or of another length.
    """
    asked = corpus_of(corpus, languages, pivot)
    cluster_queries(asked, cluster)  # what is wrong with it is said before any vector is looked at
    document_ids, query_ids = ids_of(corpus, asked)
    return audit_arrays(
        asked,
        checked("documents", documents, asked.documents["doc_id"], similarity, document_ids),
        checked("queries", queries, asked.queries["query_id"], similarity, query_ids),
        spec_of(name, corpus, asked, languages, scenarios, cutoffs, seed, cluster),
    )


def spec_of(
    name: str,
    corpus: AnyCorpus,
    asked: Corpus,
    languages: Sequence[str],
    scenarios: Sequence[ScenarioName],
    cutoffs: Sequence[int],
    seed: int,
    cluster: str,
) -> AuditSpec:
    """The audit that these arguments ask for, with the corpus's pivot."""
    return AuditSpec(
        model=name,
        corpus=corpus if isinstance(corpus, str) else asked.name,
        languages=tuple(languages),
        scenarios=tuple(scenarios),
        cutoffs=tuple(cutoffs),
        seed=seed,
        cluster=cluster,
        pivot=asked.pivot,
    )


def audit_arrays(
    corpus: Corpus, documents_DH: np.ndarray, queries_QH: np.ndarray, spec: AuditSpec, cut: Cuts | None = None
) -> Audit:
    """Audit float32 vectors whose rows are those of the corpus's tables. VectorsError where their lengths differ.

    `cut` says what the model did not read to its end, if that is known.
    """
    if documents_DH.shape[1] != queries_QH.shape[1]:
        sizes = f"documents have {documents_DH.shape[1]} dimensions and queries {queries_QH.shape[1]}"
        raise VectorsError(f"{sizes}; give both of one model")
    cuts = cut or Cuts()

    def rank(plan: Plan, directory: Path) -> tuple[Ranked, Made]:
        places = {lang: _places(corpus.documents["doc_id"], found.doc_id) for lang, found in plan.documents.items()}
        rows = {lang: _places(corpus.queries["query_id"], found.query_id) for lang, found in plan.queries.items()}
        asked = {lang: queries_QH[found] for lang, found in rows.items()}

        def read(lang: str, numbers: np.ndarray) -> np.ndarray:
            return documents_DH[places[lang][numbers]]

        count = in_threads(read, os.cpu_count() or 1)
        ranked = rank_plan(plan, asked, read, count, directory, lambda done, total: None)
        return ranked, Made(model=_fingerprint(documents_DH, queries_QH), cut=cuts)

    return audit_ranked(corpus, spec, rank)


def audit_ranked(corpus: Corpus, spec: AuditSpec, rank: Callable[[Plan, Path], tuple[Ranked, Made]]) -> Audit:
    """Audit what ranks a plan's golds, into files of a directory, and says what made the ranks."""
    clusters = cluster_queries(corpus, spec.cluster)
    plan = make_plan(corpus, corpus.languages, spec.scenarios, max(spec.cutoffs), spec.seed)
    folder = tempfile.TemporaryDirectory(prefix="clir-audit-")
    directory = Path(folder.name)
    ranked, made = rank(plan, directory)
    measured, _ = measure(spec, directory, directory, corpus, clusters)
    return Audit(result(spec, corpus, spec.model, ranked, measured, made, {}), directory, corpus, folder)


def corpus_of(corpus: AnyCorpus, languages: Sequence[str], pivot: str) -> Corpus:
    """The corpus, validated, in the pivot and these languages; in all of its own where none is given."""
    if isinstance(corpus, str):
        return read_corpus(corpus, languages, ReadingSpec(pivot=pivot))
    whole = corpus if isinstance(corpus, Corpus) else frames.read(corpus).validated()
    whole = replace(whole, pivot=canonical(pivot))
    chosen = choose_languages(languages, whole.languages, whole.name, whole.pivot)
    return whole.restrict(chosen) if languages else whole


def ids_of(corpus: AnyCorpus, read: Corpus) -> tuple[list[str], list[str]]:
    """Ids of documents and queries in the order that an array's rows follow."""
    if isinstance(corpus, Mapping):
        given = frames.read(corpus)
        tables = (given.documents, given.queries)
    else:
        whole = corpus if isinstance(corpus, Corpus) else read
        tables = (whole.documents, whole.queries)
    return tables[0]["doc_id"].to_pylist(), tables[1]["query_id"].to_pylist()


def checked(
    what: str, vectors: Vectors, wanted: pa.ChunkedArray, similarity: str, ids: list[str] | None = None
) -> np.ndarray:
    """Vectors of the wanted ids, float32 [wanted, H], fit to be ranked; `ids` are those of an array's rows.

    Raises VectorsError that names what is wrong.
    """
    ids = wanted.to_pylist() if ids is None else ids
    given, vectors_NH = _by_id(what, vectors, ids)
    place = {key: row for row, key in enumerate(given)}
    if len(place) < len(given):
        raise VectorsError(f"{what}: {len(given) - len(place)} ids stand there twice; give each vector once")
    missing = [key for key in wanted.to_pylist() if key not in place]
    if missing:
        raise VectorsError(f"{what}: no vector for {listed(missing)}; add them, or take their texts out of the corpus")
    superfluous = sorted(place.keys() - set(ids))
    if superfluous:
        raise VectorsError(f"{what}: vectors for {listed(superfluous)}, which the corpus lacks; leave them out")
    chosen = [place[key] for key in wanted.to_pylist()]
    found_NH = np.ascontiguousarray(vectors_NH[chosen], np.float32)
    for wrong, those in unusable(wanted.to_pylist(), found_NH, similarity == "cosine").items():
        raise VectorsError(f"{what}: {wrong} in the vectors of {listed(those)}; encode them again")
    return unit(found_NH) if similarity == "cosine" else found_NH


def _by_id(what: str, vectors: Vectors, ids: list[str]) -> tuple[list[str], np.ndarray]:
    if isinstance(vectors, np.ndarray):
        if vectors.ndim != 2 or len(vectors) != len(ids):
            raise VectorsError(
                f"{what}: an array of shape {vectors.shape}; it needs two dimensions and a row for each of the "
                f"{len(ids)} {what} of the corpus, in their order: give ids as well where that is another one"
            )
        return ids, vectors
    if isinstance(vectors, Mapping):
        return list(vectors), stacked(what, list(vectors), list(vectors.values()))
    table = frames.as_table(vectors, what)
    key, value = (next((n for n in names if n in table.column_names), None) for names in (IDS, VECTORS))
    if key is None or value is None:
        raise VectorsError(
            f"{what}: a table of {', '.join(table.column_names)}; it needs a column of ids ({', '.join(IDS)}) "
            f"and one of vectors ({', '.join(VECTORS)})"
        )
    keys = table[key].to_pylist()
    return keys, stacked(what, keys, table[value].to_pylist())


def _places(ids: pa.ChunkedArray, wanted: pl.Series) -> np.ndarray:
    """Rows of a corpus's table, of these ids in their order."""
    table = pl.DataFrame({"id": pl.Series(pl.from_arrow(ids))}).with_row_index("row")
    return wanted.to_frame("id").join(table, on="id", how="left", maintain_order="left")["row"].to_numpy()


def _fingerprint(documents_DH: np.ndarray, queries_QH: np.ndarray) -> str:
    parts = [hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest() for part in (documents_DH, queries_QH)]
    return sha256_of(parts)
