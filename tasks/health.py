"""The check of the service as a Prefect task: an artifact, and an event where something is not well."""

from datetime import UTC, datetime

from prefect.artifacts import create_table_artifact
from prefect.events import emit_event
from prefect.logging import get_run_logger

from clir_core.jobs.submit import has_gpu
from clir_core.registry.health import Health, HealthSpec
from clir_core.runs.health import check_health, look_after, note_look
from tasks.step import step


@step("look")
def look(spec: HealthSpec) -> Health:
    """Look at every part, and show and tell what was found; StoreError where something is not well."""
    now = datetime.now(UTC)
    health = look_after(spec, has_gpu)
    for check in health.checks:
        (get_run_logger().info if check.is_well else get_run_logger().error)("%s", check.said)
    create_table_artifact([check.model_dump() for check in health.checks], key="health", description="The service")
    if health.wrong:
        resource = {"prefect.resource.id": "clir.service", "prefect.resource.name": "clir"}
        emit_event("clir.service.unwell", resource, payload={"reason": " ".join(health.wrong)})
    note_look(spec, now)
    check_health(health)
    return health
