"""A corpus as Parquet files, for tests that need one in a folder of its own, whose name it takes."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clir_core.corpus.tables import Corpus
from clir_core.sources import read_corpus


def write_corpus(corpus: Corpus, folder: Path) -> Path:
    """Three files, of which `parquet:FOLDER` makes the same tables."""
    folder.mkdir(parents=True, exist_ok=True)
    for what in ("documents", "queries", "qrels"):
        pq.write_table(getattr(corpus, what), folder / f"{what}.parquet")
    return folder


def write_demo_part(directory: Path, languages: tuple[str, ...], groups: int, leave_out: tuple[str, ...] = ()) -> Path:
    """Some groups of the demo corpus, in some languages. `leave_out` names documents."""
    demo = read_corpus("demo", languages)
    chosen = pa.array(sorted(set(demo.documents["group_id"].to_pylist()))[:groups])
    qrels = demo.qrels.filter(pc.is_in(demo.qrels["group_id"], chosen))
    documents = demo.documents.filter(pc.is_in(demo.documents["group_id"], chosen))
    documents = documents.filter(pc.invert(pc.is_in(documents["doc_id"], pa.array(leave_out, pa.string()))))
    queries = demo.queries.filter(pc.is_in(demo.queries["query_id"], qrels["query_id"]))
    return write_corpus(Corpus(directory.name, documents, queries, qrels), directory)
