"""Training data: triples of an English query, the English passage that answers it, and that passage in a language X."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as types

from clir_core.align.problems import triple_problems
from clir_core.corpus.lang import canonical
from clir_core.corpus.pivot import ENGLISH
from clir_core.corpus.reading import AS_IT_IS, ReadingSpec
from clir_core.corpus.tables import Corpus
from clir_core.corpus.texts import document_texts, query_texts
from clir_core.errors import AlignError, CorpusError, first_line
from clir_core.sources import read_corpus
from clir_core.sources.choice import choose_languages, code_notes
from clir_core.sources.columns import convert
from clir_core.sources.names import twice
from clir_core.sources.parquet import table_of
from clir_core.workspace.atomic import write_file
from clir_core.workspace.storage import path_of

# p_en and p_x are of group_id, q_en and q_x of query_group_id; negatives are English passages that do not answer
TRIPLES = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in ("triple_id", "group_id", "query_group_id", "lang")),
        *(pa.field(name, pa.string(), nullable=False) for name in ("q_en", "p_en", "p_x")),
        pa.field("q_x", pa.string()),
        pa.field("negatives", pa.list_(pa.string()), nullable=False),
    ]
)
_OPTIONAL = ("q_x", "negatives")
_NOTES = b"notes"  # of the corpus, in the schema's metadata


def training_triples(
    reference: str, languages: Sequence[str], most: int, seed: int, reading: ReadingSpec = AS_IT_IS
) -> pa.Table:
    """Triples of a corpus or of triples:FILE, balanced over these languages; over all where none is given.

    Of a corpus whose qrels have splits the one that is named, else train: CorpusError where there is none.
    """
    kind, _, place = reference.partition(":")
    if kind != "triples":
        corpus = read_corpus(reference, languages, reading, training=True)
        return _noted(build_triples(corpus, languages, most, seed), corpus.notes)
    read = read_triples(path_of(place))
    triples = _frame(read)
    wanted = sorted({*map(canonical, languages or triples["lang"])} - {ENGLISH})
    _check_languages(wanted, triples, reference)
    return _noted(_table(_sample(triples.filter(pl.col("lang").is_in(wanted)), most, seed)), notes_of(read))


def notes_of(triples: pa.Table) -> tuple[str, ...]:
    """What was read of the corpus or file that the triples are of, and how."""
    return tuple(json.loads((triples.schema.metadata or {}).get(_NOTES, b"[]")))


def build_triples(corpus: Corpus, languages: Sequence[str], most: int, seed: int) -> pa.Table:
    """At most so many triples of the corpus, as many of every language as it has, drawn and shuffled by the seed.

    There is one for every English query, group that answers it and language in which that group's passage exists.
    """
    wanted = choose_languages(languages, corpus.languages, corpus.name)[1:]
    passages, queries = document_texts(corpus), query_texts(corpus)
    english = pl.col("lang") == ENGLISH
    found = (
        queries.filter(english)
        .select("group_id", query_id="id", q_en="text")
        .rename({"group_id": "query_group_id"})
        .join(golds(corpus), on="query_id")
        .join(passages.filter(english).select("group_id", p_en="text"), on="group_id")
        .join(passages.filter(pl.col("lang").is_in(wanted)).select("group_id", "lang", p_x="text"), on="group_id")
        .join(queries.select("lang", query_group_id="group_id", q_x="text"), on=("query_group_id", "lang"), how="left")
        .with_columns(
            triple_id=pl.format("{}|{}|{}", "query_id", "group_id", "lang"),
            negatives=pl.lit([], pl.List(pl.String)),
        )
    )
    _check_languages(wanted, found, f"corpus {corpus.name}")
    return _table(_sample(found, most, seed))


def read_triples(path: Path) -> pa.Table:
    """Triples of a Parquet file, or one CorpusError with every problem. q_x and negatives may be left out."""
    try:
        table = table_of(path)
    except FileNotFoundError as error:
        raise CorpusError(f"triples {path.absolute()} do not exist; give a Parquet file") from error
    except ValueError as error:
        raise CorpusError(f"triples {path}: {error}") from error
    return validate_triples(table, str(path))


def validate_triples(table: pa.Table, file: str) -> pa.Table:
    """The table in the columns of TRIPLES, or one CorpusError with every problem: file, row, value and fix."""
    problems = [f"{file}: {problem}" for problem in twice(table.column_names, TRIPLES.names)]
    columns = {} if problems else {field.name: _column(table, field, file, problems) for field in TRIPLES}
    codes = [] if problems else columns["lang"].to_pylist()
    if not problems:
        written = [code and canonical(code) for code in codes]
        columns["lang"] = pa.chunked_array([pa.array(written, pa.string())])
        problems = triple_problems(pa.table(columns), file)
    if problems:
        raise CorpusError(f"triples {file} cannot be used, problems: {len(problems)}", problems)
    return _noted(pa.table(columns, schema=TRIPLES), code_notes(codes))


def _noted(triples: pa.Table, notes: Sequence[str]) -> pa.Table:
    return triples.replace_schema_metadata({_NOTES: json.dumps(notes)}) if notes else triples


def write_triples(triples: pa.Table, path: Path) -> None:
    """A Parquet file that `read_triples` makes the same table of. It appears whole or not at all."""
    write_file(path, lambda scratch: pq.write_table(triples, scratch, compression="zstd"))


def check_enough(triples: pa.Table, batch: int) -> None:
    """AlignError where not even one batch can be filled."""
    if len(triples) < batch:
        raise AlignError(
            f"{len(triples)} triples are fewer than a batch of {batch}; add triples or languages, or lower "
            f"optimiser.batch to {len(triples)} at most"
        )


def golds(corpus: Corpus) -> pl.DataFrame:
    """query_id and group_id: whose text answers it. A translation of a document that answers does, too."""
    qrels, documents = _frame(corpus.qrels), _frame(corpus.documents)
    single = qrels.select("query_id", "doc_id").join(documents.select("doc_id", "group_id"), on="doc_id")
    groups = qrels.select("query_id", "group_id").drop_nulls()
    return pl.concat([groups, single.drop("doc_id")]).unique()


def _check_languages(wanted: Sequence[str], triples: pl.DataFrame, place: str) -> None:
    has = sorted(set(triples["lang"]))
    missing = [lang for lang in wanted if lang not in has]
    if missing or not wanted:
        pairs = ", ".join(f"{ENGLISH}-{lang}" for lang in missing) or "any language pair"
        way_out = f"ask for languages among {', '.join(has)}" if has else "train on a parallel corpus with queries"
        raise AlignError(
            f"{place} has no triple for {pairs}: that needs an English query with a relevant passage in both "
            f"languages; {way_out}"
        )


def _sample(triples: pl.DataFrame, most: int, seed: int) -> pl.DataFrame:
    """Drawn and ordered by hashes of the ids: neither the order of the input nor the other languages matter."""
    quotas = _quotas(dict(triples.group_by("lang").len().iter_rows()), most)
    keys = {what: [_hash(seed, what, triple) for triple in triples["triple_id"]] for what in ("draw", "place")}
    drawn = triples.with_columns(pl.Series(what, key, pl.String) for what, key in keys.items()).sort("draw")
    allowed = pl.col("lang").replace_strict(quotas, return_dtype=pl.Int64)
    return drawn.filter(pl.int_range(pl.len()).over("lang") < allowed).sort("place")


def _quotas(available: Mapping[str, int], most: int) -> dict[str, int]:
    """As many of each as there may be; what one cannot give, the others do."""
    quotas, left = {}, most
    for done, (count, lang) in enumerate(sorted((count, lang) for lang, count in available.items())):
        quotas[lang] = min(count, left // (len(available) - done))
        left -= quotas[lang]
    return quotas


def _hash(seed: int, what: str, triple_id: str) -> str:
    return hashlib.sha256(f"{seed}/{what}/{triple_id}".encode()).hexdigest()


def _column(table: pa.Table, field: pa.Field, file: str, problems: list[str]) -> pa.ChunkedArray:
    if field.name not in table.column_names:
        if field.name not in _OPTIONAL:
            has = f"it has {', '.join(table.column_names) or 'none'}"
            problems.append(f"{file}: column {field.name!r} is missing, {has}; add it")
        return pa.chunked_array([pa.array([[] if types.is_list(field.type) else None] * len(table), field.type)])
    column = table[field.name]
    if not types.is_list(field.type):
        return convert(column, field, file, problems)
    try:
        column = column.cast(field.type)
        column.validate(full=True)
    except pa.ArrowException as error:
        problems.append(f"{file}: column {field.name!r} is no {field.type} ({first_line(error)}); convert it")
    return column


def _frame(table: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(table))


def _table(frame: pl.DataFrame) -> pa.Table:
    return frame.select(TRIPLES.names).to_arrow().cast(TRIPLES)
