"""A corpus as Parquet files, for tests that need one in a folder of its own, whose name it takes."""

from pathlib import Path

import pyarrow.parquet as pq

from clir_core.corpus.tables import Corpus


def write_corpus(corpus: Corpus, folder: Path) -> Path:
    """Three files, of which `parquet:FOLDER` makes the same tables."""
    folder.mkdir(parents=True, exist_ok=True)
    for what in ("documents", "queries", "qrels"):
        pq.write_table(getattr(corpus, what), folder / f"{what}.parquet")
    return folder
