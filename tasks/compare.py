"""The step of a comparison as a Prefect task, and what the UI shows of it."""

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger

from clir_core.registry.compare_spec import CompareSpec
from clir_core.registry.comparison import Compared, compare_checkpoints
from clir_core.shown import as_code, in_markdown
from clir_core.spec import slug
from clir_core.workspace import layout
from tasks.artifacts import rounded
from tasks.step import step


@step("compare")
def compare(spec: CompareSpec) -> Compared:
    """Hold two checkpoints' audits against each other, and show what came of it."""
    compared = compare_checkpoints(spec)
    title = f"{compared.after} against {compared.before} on {compared.corpus}"
    get_run_logger().info("%s: %s. %s", title, compared.outcome, compared.decision.reason)
    before, after = compared.audits
    key = f"compare-{slug(compared.before)}-{slug(compared.after)}"
    create_markdown_artifact(
        f"## {in_markdown(title)}: {compared.outcome}\n\n{in_markdown(compared.decision.reason)}\n\n"
        f"Reports: {as_code(str(before / layout.REPORT))}, {as_code(str(after / layout.REPORT))}",
        key=key,
        description=title,
    )
    create_table_artifact(
        [rounded(row) for row in (*compared.decision.primary, *compared.decision.mono)],
        key=f"{key}-table",
        description=f"{title}: means before and after, 95 % intervals of the difference",
    )
    return compared
