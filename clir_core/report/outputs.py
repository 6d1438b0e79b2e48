"""The files of an audit, in one directory. What was there before stays whole until all of the new is written."""

import shutil
import tempfile
from pathlib import Path

import polars as pl

from clir_core.audit.result import AuditResult
from clir_core.corpus.tables import Corpus
from clir_core.errors import StoreError
from clir_core.report.html import render_report
from clir_core.report.mteb import write_mteb

# audit.json last: where it is new, so is the rest
FILES = ("mteb", "ranks.parquet", "topk.parquet", "queries.parquet", "report.html", "audit.json")


def write_outputs(result: AuditResult, ranked: Path, measured: Path, corpus: Corpus, out: Path) -> None:
    """audit.json, ranks.parquet, topk.parquet, queries.parquet, report.html and mteb/; the two paths are the steps'."""
    ranks, top = (pl.read_parquet(ranked / name) for name in ("ranks.parquet", "topk.parquet"))
    report = render_report(result, ranks, top, corpus)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".unfinished-") as folder:
            new = Path(folder)
            for source in (ranked / "ranks.parquet", ranked / "topk.parquet", measured / "queries.parquet"):
                shutil.copyfile(source, new / source.name)
            write_mteb(result, ranks, new / "mteb")
            (new / "report.html").write_text(report, "utf-8")
            (new / "audit.json").write_text(result.model_dump_json(indent=1), "utf-8")
            for name in FILES:
                if (out / name).is_dir():
                    (out / name).rename(new / f"old-{name}")
                (new / name).replace(out / name)
    except (OSError, StoreError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        reason = getattr(cause, "strerror", None) or cause
        raise StoreError(
            f"{out}: the result cannot be written ({reason}); free space or set `out` to another place, then run "
            "again: the figures are kept in the workspace, and an earlier result there is as it was"
        ) from error
