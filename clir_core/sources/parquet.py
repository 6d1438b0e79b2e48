"""Our own three tables as Parquet: how one step hands a corpus to the next, and how anybody else can bring one."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from clir_core.corpus.tables import Corpus, Skipped
from clir_core.errors import CorpusError, first_line
from clir_core.sources.columns import SCHEMAS, conform
from clir_core.sources.json_input import complaints
from clir_core.sources.rows import RawCorpus
from clir_core.spec import Spec

_ABOUT = b"clir"


class About(Spec):
    """What the tables of a corpus that we wrote do not say; it lies in the metadata of documents.parquet."""

    name: str = ""
    skipped: tuple[Skipped, ...] = ()


def read(directory: Path, languages: Sequence[str]) -> RawCorpus:
    """documents, queries and qrels, each a file NAME.parquet or a folder NAME/*.parquet. All languages are read."""
    problems: list[str] = []
    tables = {what: _read_table(directory, what, problems) for what in SCHEMAS}
    if problems:
        raise CorpusError(f"Parquet corpus {directory} cannot be read, problems: {len(problems)}", problems)
    about = _about(directory)
    return RawCorpus(about.name or directory.resolve().name, **tables, skipped=about.skipped)


def write_corpus(corpus: Corpus, directory: Path) -> None:
    """Three Parquet files from which `read` makes an equal corpus. Each appears whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    about = About(name=corpus.name, skipped=corpus.skipped).model_dump_json()
    described = corpus.documents.replace_schema_metadata({_ABOUT: about.encode()})
    for what, table in (("qrels", corpus.qrels), ("queries", corpus.queries), ("documents", described)):
        unfinished = directory / f"{what}.parquet.tmp"
        pq.write_table(table, unfinished, compression="zstd")
        unfinished.replace(directory / f"{what}.parquet")


def _read_table(directory: Path, what: str, problems: list[str]) -> pa.Table:
    file, folder = directory / f"{what}.parquet", sorted(directory.glob(f"{what}/*.parquet"))
    if file.exists() == bool(folder):
        there = "both are there: keep one" if folder else "none is there: add one"
        problems.append(f"{directory}: {what}.parquet or {what}/*.parquet is read, {there}")
        return pa.table({})
    parts = []
    for path in folder or [file]:
        try:
            # not read_table: it would make columns of folder names such as lang=zh
            parts.append(conform(pq.ParquetFile(path).read(), what, str(path), problems))
        except (pa.ArrowException, OSError) as error:
            problems.append(f"{path}: cannot be read as Parquet ({first_line(error)}); write or fetch it again")
    return pa.concat_tables(parts) if parts else pa.table({})


def _about(directory: Path) -> About:
    file = directory / "documents.parquet"
    metadata = pq.read_schema(file).metadata if file.exists() else None
    try:
        return About.model_validate_json((metadata or {}).get(_ABOUT, b"{}"))
    except ValidationError as error:
        raise CorpusError(f"{file}: its metadata is damaged; write the corpus again", complaints(error)) from error
