"""What the Prefect UI shows of a run. Artifacts are keyed by model and corpora, so the UI keeps their history."""

from pathlib import Path
from typing import Any

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from clir_core.align.result import AlignResult
from clir_core.audit.result import AuditResult
from clir_core.registry.facts import Entry
from clir_core.report import alignment_table as table
from clir_core.report.html import short_name
from clir_core.report.table import as_markdown
from clir_core.runs.correct import QUERY_SIDE, Corrected
from clir_core.shown import as_code, in_markdown
from clir_core.spec import Spec, slug
from clir_core.workspace import layout

# browsers do not follow a link from http to a file: the link's text can be copied
WHERE = "its report, a file on the worker's machine"


def publish(result: AuditResult, out: Path) -> None:
    """Create the artifacts of a finished audit."""
    key = slug(result.name)
    first, *others = map(in_markdown, result.verdict)
    sentences = "\n".join(f"- {sentence}" for sentence in others)
    create_markdown_artifact(
        f"## {first}\n\n{sentences}\n\n{as_markdown(result)}\n\nReport: {as_code(str(out / layout.REPORT))}",
        key=f"verdict-{key}",
        description=result.name,
    )
    rows = [rounded(row) for row in result.metrics if row.share is None]
    create_table_artifact(rows, key=f"metrics-{key}", description=f"{result.name}: means, 95 % intervals")
    report = (out / layout.REPORT).as_uri()
    create_link_artifact(report, link_text=report, key=f"report-{key}", description=f"{result.name}: {WHERE}")


def publish_alignment(result: AlignResult, entry: Entry, out: Path) -> None:
    """Create the artifacts of a finished alignment run."""
    spec, report = result.spec, out / layout.REPORT
    name = " ".join(map(short_name, (spec.base, spec.train, spec.evaluation)))
    key = slug(name)
    first, *others = map(in_markdown, result.verdict)
    sentences = "\n".join(f"- {sentence}" for sentence in others)
    create_markdown_artifact(
        f"## {first}\n\nRegistered as {as_code(entry.name)}: **{entry.status}**\n\n{sentences}\n\n"
        f"{table.as_markdown(result)}\nCheckpoint: {as_code(entry.found.ref)}\n\nReport: {as_code(str(report))}",
        key=f"alignment-{key}",
        description=result.name,
    )
    create_table_artifact(
        [rounded(row) for row in (*result.decision.primary, *result.decision.mono)],
        key=f"before-after-{key}",
        description=f"{result.name}: means before and after, 95 % intervals of the difference",
    )
    create_link_artifact(
        report.as_uri(),
        link_text=report.as_uri(),
        key=f"alignment-report-{key}",
        description=f"{result.name}: {WHERE}",
    )


def publish_correction(found: Corrected) -> None:
    """Create the artifact of a corrected table."""
    title = found.out.name
    needs = "their language" if found.queries.needs_language else "no language"
    audits = [
        f"### {when.capitalize()}\n\n" + "\n".join(f"- {in_markdown(sentence)}" for sentence in audited.result.verdict)
        for when, audited in (("before", found.before), ("after", found.after))
        if audited
    ]
    where = (
        f"Corrected: {as_code(found.vectors)}\n\nQueries need {needs}; what each has to do: "
        f"{as_code(str(found.out / QUERY_SIDE))}"
    )
    create_markdown_artifact(
        "\n\n".join([f"## {in_markdown(title)}", where, *audits]), key=slug(f"correction-{title}"), description=title
    )


def rounded(row: Spec) -> dict[str, Any]:
    """A row for a table artifact: four digits, nothing where there is no value. Rows of a share are none of these."""
    fields = row.model_dump(exclude={"share"})
    return {
        name: round(value, 4) if isinstance(value, float) else "" if value is None else value
        for name, value in fields.items()
    }
