"""What the Prefect UI shows of an audit. Artifacts are keyed by model and corpus, so the UI keeps their history."""

from pathlib import Path
from typing import Any

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from clir_core.audit import AuditResult, MetricRow
from clir_core.report.table import as_markdown
from tasks.audit import slug


def publish(result: AuditResult, out: Path) -> None:
    """Create the artifacts of a finished audit."""
    key = slug(result.name)
    sentences = "\n".join(f"- {sentence}" for sentence in result.verdict[1:])
    create_markdown_artifact(
        f"## {result.verdict[0]}\n\n{sentences}\n\n{as_markdown(result)}\n\nReport: `{out / 'report.html'}`",
        key=f"verdict-{key}",
        description=result.name,
    )
    rows = [_rounded(row) for row in result.metrics if not row.scenario.startswith("share")]
    create_table_artifact(rows, key=f"metrics-{key}", description=f"{result.name}: means, 95 % intervals")
    create_link_artifact((out / "report.html").as_uri(), link_text="report.html", key=f"report-{key}")


def _rounded(row: MetricRow) -> dict[str, Any]:
    fields = row.model_dump()
    return {
        name: round(value, 4) if isinstance(value, float) else "" if value is None else value
        for name, value in fields.items()
    }
