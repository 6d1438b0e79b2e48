"""The files of an audit, in one directory. What was there before stays whole until all of the new is written."""

import shutil
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from clir_core.audit.result import AuditResult
from clir_core.corpus.tables import Corpus
from clir_core.errors import StoreError
from clir_core.report.html import render_report
from clir_core.report.mteb import write_mteb
from clir_core.workspace import layout
from clir_core.workspace.atomic import write_together
from clir_core.workspace.storage import explained
from clir_core.workspace.sums import write_sums


def write_outputs(result: AuditResult, ranked: Path, measured: Path, corpus: Corpus, out: Path) -> None:
    """Write layout.AUDIT_FILES; the two paths are the steps'. StoreError where `out` cannot be, and stays as it was."""
    ranks, top = (pl.scan_parquet(ranked / name) for name in (layout.RANKS, layout.TOP))
    sources = (ranked / layout.RANKS, ranked / layout.TOP, measured / layout.QUERIES)
    for source in sources:
        with explained(source), pq.ParquetFile(source):
            pass  # a damaged one would be copied as it is
    with explained(ranked):
        report = render_report(result, ranks, top, corpus)

    def write(new: Path) -> None:
        for source in sources:
            shutil.copyfile(source, new / source.name)
        write_mteb(result, ranks, new / layout.MTEB)
        (new / layout.REPORT).write_text(report, "utf-8")
        (new / layout.AUDIT).write_text(result.model_dump_json(indent=1), "utf-8")
        write_sums(new)

    try:
        write_together(out, layout.AUDIT_FILES, write)
    except (OSError, StoreError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        reason = getattr(cause, "strerror", None) or cause
        raise StoreError(
            f"{out}: the result cannot be written ({reason}); free space or set `out` to another place, then run "
            "again: the figures are kept in the workspace, and an earlier result there is as it was"
        ) from error
