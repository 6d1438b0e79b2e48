"""The flow `health`: whether the service is well, and what died."""

from prefect import flow

from clir_core.registry.health import Health, HealthSpec
from tasks import health as steps


@flow(name="health", persist_result=False)
def health(spec: HealthSpec = HealthSpec()) -> Health:  # noqa: B008  frozen: one default is as good as many
    """Look at the parts of the service, its cluster, disk and registry; fails where something is not well."""
    return steps.look(spec)
