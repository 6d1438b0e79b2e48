"""The report page: one HTML file that opens anywhere, with nothing loaded from outside.

Texts of the corpus are untrusted: they reach the page through Jinja's autoescape and never as Markup.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from clir_core.audit.claim import Claim
from clir_core.audit.result import AuditResult
from clir_core.audit.verdict import named
from clir_core.corpus.lang import language_name
from clir_core.corpus.tables import Corpus
from clir_core.measure.figures import cutoff, interval, number
from clir_core.model.baseline import UNSTORED
from clir_core.report.charts import dose_response
from clir_core.report.data_facts import data_section
from clir_core.report.heatmap import heat_map
from clir_core.report.inclination import inclination
from clir_core.report.index import index_section
from clir_core.report.reading import reading_rows
from clir_core.report.table import summary
from clir_core.report.worst import failure, worst_queries
from clir_core.scenarios import every_scenario, multi, share
from clir_core.scenarios.column import Column
from clir_core.scenarios.scenario import Scenario

HERE = Path(__file__).parent


def render_report(
    result: AuditResult, ranks: pl.DataFrame | pl.LazyFrame, topk: pl.DataFrame | pl.LazyFrame, corpus: Corpus
) -> str:
    """The whole page."""
    table, heat = summary(result), heat_map(result)
    return environment().get_template("report.html.j2").render(
        result=result,
        css=Markup((HERE / "report.css").read_text(encoding="utf-8")),
        model=result.spec.corrected(short_name(result.spec.model)),
        corpus_name=short_name(result.spec.corpus),
        named_claim=named,
        extent=_extent(result.claims),
        picture=inclination(result),
        failure=failure(result.claims, ranks, topk, corpus),
        pivot=language_name(result.spec.pivot),
        summary=table,
        exposed=_exposed(result),
        with_seen=summary(result.model_copy(update={"metrics": result.metrics_with_seen})),
        summary_groups=_groups(table.columns),
        heat=heat,
        heat_groups=_groups(heat.columns),
        chart=dose_response(result),
        worst=worst_queries(ranks, topk, corpus),
        data=data_section(result.facts),
        index=index_section(result),
        tabled=_tabled(result),
        dose_scenario=share.NAME,
        worst_scenario=multi.NAME,
        reading=reading_rows(made) if (made := result.provenance.reading) else [],
        provenance=_provenance(result),
        absent=lambda *scenarios: absent(result, scenarios),
    )  # fmt: skip


def short_name(ref: str) -> str:
    """A reference without its scheme and folders: what a person calls the model or the corpus."""
    scheme, _, rest = ref.rpartition(":")
    if scheme == "hf":
        return rest
    return rest.rstrip("/").rpartition("/")[2] if "/" in rest else (rest or ref)


def absent(result: AuditResult, scenarios: Sequence[str]) -> list[str]:
    """Why scenarios have no figures: a sentence a reason; none where all of them have."""
    found = {row.scenario_name for row in result.metrics}
    unasked = [name for name in scenarios if name not in result.spec.scenarios]
    empty = [name for name in scenarios if name in result.spec.scenarios and name not in found]
    reasons = [f"Not asked for in this audit: {', '.join(unasked)}."] if unasked else []
    if empty and set(result.languages) <= {result.spec.pivot}:
        beside = language_name(result.spec.pivot)
        reasons.append(f"This audit has no language beside {beside}, which {', '.join(empty)} would compare it with.")
    elif empty:
        reasons.append(f"No query could be ranked in {', '.join(empty)}; the reasons are under “What was skipped”.")
    return reasons


def _exposed(result: AuditResult) -> str:
    """What is said of passages that were seen, and which pools the figures are of."""
    if not result.exposure:
        return ""
    if result.spec.pools == "all" and result.exposure.distractors:
        return f"{result.exposure}. The pools hold them: such figures flatter, and are for comparison alone."
    return f"{result.exposure}. The figures are of pools without the former."


def _tabled(result: AuditResult) -> list[Scenario]:
    """The scenarios that the main table shows, in words."""
    pivot, k = result.spec.pivot, cutoff(result)
    return [scenario.beside(pivot) for scenario in every_scenario() if scenario.columns(k, pivot)]


def _extent(claims: Sequence[Claim]) -> str:
    """In how many of the languages the worst claim is made; empty where there is one language."""
    if len(claims) < 2:
        return ""
    alike = sum(named(claim) == named(claims[0]) for claim in claims)
    return f"in {'all' if alike == len(claims) else f'{alike} of'} {len(claims)} languages"


def breakable(metric: str) -> Markup:
    """A metric's name that may go over two lines in a narrow head: between its long words, and before a bracket."""
    return Markup(re.sub(r"_(?=[a-z]{4})|(?<=\w{7})(?=\()", r"\g<0><wbr>", str(escape(metric))))


def environment() -> Environment:
    """Jinja for every page: escaping, strict, with the filters that the templates share."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(language=language_name, breakable=breakable)
    environment.globals.update(number=number, interval=interval)
    return environment


def _groups(shown: Sequence[Column]) -> list[tuple[str, int]]:
    """Head of the columns' groups: name and how many neighbours share it."""
    return [(name, len(list(members))) for name, members in groupby(shown, lambda column: column.group)]


def _provenance(result: AuditResult) -> list[tuple[str, str]]:
    """Label and value of everything that made the figures."""
    made = result.provenance
    rows = [
        ("audit", f"{result.name}, spec {result.spec.identity()}"),
        ("model", f"{result.spec.model}, fingerprint {made.checkpoint or made.model_fingerprint}"),
        ("corpus", f"{result.spec.corpus}, fingerprint {made.corpus_fingerprint}"),
    ]
    tables = [("documents", made.documents_table), ("queries", made.queries_table)]
    if made.fitted:
        places = " and ".join(dict.fromkeys(filter(None, (made.fitted.corpus, made.fitted.bank))))
        rows.append(("correction", f"fitted on {places}, fingerprint {made.fitted.corpus_fingerprint}"))
        fitted = (
            ("documents fitted on", made.fitted.documents_table),
            ("queries fitted on", made.fitted.queries_table),
        )
        tables += [(label, read) for label, read in fitted if read]
    given = UNSTORED.get(made.reading.kind if made.reading else "", "vectors given from Python")
    for label, read in tables:
        if read is None:
            rows.append((label, given))
            continue
        rows.append((label, f"table {read.table}, version {read.version}, tag {read.tag}, in {read.uri}"))
    if any(row.clusters for row in result.metrics):
        rows.append(("intervals", f"95 %, over clusters of queries: {result.spec.cluster}"))
    rows += [
        ("git commit", made.git_commit or "unknown"),
        ("versions", ", ".join(f"{name} {version}" for name, version in sorted(made.versions.items()))),
        ("exact ties", f"{made.ties:,} unrelated documents that score exactly as a gold; they count as above it"),
        (
            "ties of golds",
            f"{made.gold_ties:,} relevant documents that score exactly as another one of their query, as identical "
            "texts in two languages do; a hash decides which comes first",
        ),
        ("near-ties", f"{made.near_ties:,} within 1e-6: another machine could rank these otherwise"),
        ("timings", ", ".join(f"{step} {seconds(taken)}" for step, taken in made.timings.items()) or "none"),
        ("seed", f"{result.spec.seed}, of the hash buckets of share(p)"),
        ("finished", made.finished.isoformat(timespec="seconds")),
    ]
    return rows


def seconds(taken: float) -> str:
    """A step's time as it is printed."""
    return f"{taken:,.1f} s" if taken else "done before"
