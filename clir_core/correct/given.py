"""Correcting a table of vectors that somebody else made: fitted in one pass over it, written in another."""

import heapq
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clir_core.corpus.lang import canonical
from clir_core.correct.correction import Correction
from clir_core.correct.fit import MOST_QUERIES
from clir_core.correct.hub import Hub
from clir_core.correct.removal import Moments
from clir_core.correct.spec import Corrects
from clir_core.errors import StoreError, VectorsError
from clir_core.model.given import listed
from clir_core.model.vector_tables import GivenVectors
from clir_core.model.vectors_ref import TextKind
from clir_core.spec import sha256_of
from clir_core.workspace.atomic import write_folder
from clir_core.workspace.lance import connect
from clir_core.workspace.storage import explained

TABLES: dict[TextKind, str] = {"document": "documents", "query": "queries"}


def fit_given(
    spec: Corrects, given: GivenVectors, lang_column: str, left_out: Collection[str], unit: bool
) -> Correction:
    """Fit on all documents of a table and its queries, but for those with the ids that are left out.

    Raises VectorsError where a language of the documents has no query.
    """
    documents = _moments(given, "document", lang_column, spec.removal == "lir", ()) if spec.removal else {}
    queries = _moments(given, "query", lang_column, False, left_out) if spec.reads_queries else {}
    spoken = {*documents} or {lang for lang, _, _ in _by_language(given, "document", lang_column)}
    if spec.reads_queries and (lacking := sorted(spoken - queries.keys())):
        raise VectorsError(
            f"correction {spec.correction!r} looks at queries in every language, other ones than are audited, and has "
            f"none in {', '.join(lacking)}; add some, fifty will do, or take centring or lir"
        )
    of_documents = {lang: found.removal(str(spec.removal)) for lang, found in documents.items()}
    of_queries = {lang: found.removal("mean") for lang, found in queries.items()} if spec.removal == "mean" else {}
    nothing = dict.fromkeys({*spoken, *queries})
    correction = Correction({**nothing, **of_documents}, {**nothing, **(of_queries or of_documents)}, unit)
    if not spec.has_hub:
        return correction
    return Correction(
        correction.documents, correction.queries, unit, _hub(spec, given, lang_column, left_out, correction)
    )


def write_corrected(given: GivenVectors, correction: Correction, lang_column: str, out: Path, query_json: str) -> None:
    """Documents and queries, corrected, in a new folder, as Parquet or Lance as they are, and query.json.

    Their other columns stay. StoreError where the folder is there, or cannot be written.
    """
    if out.exists():
        raise StoreError(f"{out}: is there already; give another `out`, or remove it")

    def write(folder: Path) -> None:
        for kind, name in TABLES.items():
            _write(folder, name, given.columns(kind).is_lance, _corrected(given, kind, lang_column, correction))
        (folder / "query.json").write_text(query_json, "utf-8")

    write_folder(out, write)


def _corrected(
    given: GivenVectors, kind: TextKind, lang_column: str, correction: Correction
) -> Iterator[pa.RecordBatch]:
    apply = correction.of_documents if kind == "document" else correction.of_queries
    for batch, vectors_NH in given.rows(kind):
        langs = _languages(batch, lang_column, given.columns(kind).id)
        out_NH: np.ndarray | None = None
        for lang in sorted(set(langs)):
            if lang not in correction.queries:
                raise VectorsError(
                    f"{kind}s in {lang!r}, of which no {'document' if kind == 'query' else 'query'} is there"
                )
            rows = np.flatnonzero(np.array(langs) == lang)
            found_NH = apply(lang, vectors_NH[rows])
            out_NH = np.empty((len(langs), found_NH.shape[1]), np.float32) if out_NH is None else out_NH
            out_NH[rows] = found_NH
        assert out_NH is not None
        column = pa.FixedSizeListArray.from_arrays(pa.array(out_NH.reshape(-1)), out_NH.shape[1])
        yield batch.append_column(given.columns(kind).vector, column)


def _write(folder: Path, name: str, is_lance: bool, batches: Iterator[pa.RecordBatch]) -> None:
    first = next(batches, None)
    if first is None:
        return
    reader = pa.RecordBatchReader.from_batches(first.schema, _chained(first, batches))
    if is_lance:
        with explained(folder):
            connect(str(folder)).create_table(name, reader)
        return
    with pq.ParquetWriter(folder / f"{name}.parquet", first.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


def _chained(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


def _moments(
    given: GivenVectors, kind: TextKind, lang_column: str, with_gram: bool, left_out: Collection[str]
) -> dict[str, Moments]:
    found: dict[str, Moments] = {}
    for lang, ids, vectors_NH in _by_language(given, kind, lang_column):
        keep = np.array([one not in left_out for one in ids], bool)
        if keep.any():
            found.setdefault(lang, Moments(given.dim)).add(vectors_NH[keep], with_gram)
    return found


def _hub(
    spec: Corrects, given: GivenVectors, lang_column: str, left_out: Collection[str], correction: Correction
) -> Hub:
    banks: dict[str, list[tuple[str, int, np.ndarray]]] = {}
    number = 0
    for lang, ids, vectors_NH in _by_language(given, "query", lang_column):
        bank = banks.setdefault(lang, [])
        for one, vector_H in zip(ids, vectors_NH, strict=True):
            number += 1
            if one not in left_out:
                # the smallest hashes: a sample that no order of rows decides
                bank.append((sha256_of(one), number, vector_H))
        if len(bank) > 2 * MOST_QUERIES:
            banks[lang] = heapq.nsmallest(MOST_QUERIES, bank)
    vectors = {
        lang: correction.without_language(
            lang, np.stack([vector_H for _, _, vector_H in heapq.nsmallest(MOST_QUERIES, bank)])
        )
        for lang, bank in sorted(banks.items())
        if bank
    }
    if spec.correction_languages == "all":
        vectors = {"": np.concatenate(list(vectors.values()))}
    return Hub(vectors, spec.correction_k, spec.correction_weight)


def _by_language(given: GivenVectors, kind: TextKind, lang_column: str) -> Iterator[tuple[str, list[str], np.ndarray]]:
    for batch, vectors_NH in given.rows(kind):
        ids = batch[given.columns(kind).id].to_pylist()
        langs = np.array(_languages(batch, lang_column, given.columns(kind).id))
        for lang in sorted(set(langs.tolist())):
            rows = np.flatnonzero(langs == lang)
            yield lang, [ids[row] for row in rows], vectors_NH[rows]


def _languages(batch: pa.RecordBatch, column: str, id_column: str) -> list[str]:
    if column not in batch.schema.names:
        raise VectorsError(
            f"no column {column!r} among {', '.join(batch.schema.names)}; name the one of languages with `lang`"
        )
    found = batch[column].to_pylist()
    if missing := [str(batch[id_column][row]) for row, lang in enumerate(found) if not lang]:
        raise VectorsError(f"no language of {listed(missing)}; write one, such as 'en'")
    return [canonical(str(lang)) for lang in found]
