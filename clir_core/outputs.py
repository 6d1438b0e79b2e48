"""The files of an audit, in one directory: written beside what was there, audit.json last."""

import shutil
from pathlib import Path

import polars as pl

from clir_core.audit import AuditResult
from clir_core.corpus import Corpus
from clir_core.mteb import write_mteb
from clir_core.report.html import render_report
from clir_core.steps import write_text
from clir_core.store import explained


def write_outputs(result: AuditResult, ranked: Path, measured: Path, corpus: Corpus, out: Path) -> None:
    """audit.json, ranks.parquet, topk.parquet, queries.parquet, report.html and mteb/; the two paths are the steps'."""
    ranks, top = (pl.read_parquet(ranked / name) for name in ("ranks.parquet", "topk.parquet"))
    report = render_report(result, ranks, top, corpus)
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
        for source in (ranked / "ranks.parquet", ranked / "topk.parquet", measured / "queries.parquet"):
            scratch = out / f".{source.name}"
            shutil.copyfile(source, scratch)
            scratch.replace(out / source.name)
        write_mteb(result, ranks, out / "mteb")
    write_text(out / "report.html", report)
    write_text(out / "audit.json", result.model_dump_json(indent=1))
