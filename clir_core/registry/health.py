"""Whether a service is well: what a check is asked, and what it answers."""

from pydantic import Field

from clir_core.audit.spec import RuntimeSpec
from clir_core.spec import WORKSPACE, Place, Spec


class HealthSpec(Spec):
    """What counts as well."""

    free_gib: float = Field(
        2.0, ge=0, allow_inf_nan=False, description="Disk space that the workspace's disk should have, in GiB"
    )
    runtime: RuntimeSpec = RuntimeSpec()
    workspace: Place = Field(WORKSPACE, description="The workspace of the service")


class Check(Spec):
    """One thing that was looked at."""

    what: str
    is_well: bool
    said: str


class Health(Spec):
    """All that was looked at."""

    checks: tuple[Check, ...]

    @property
    def wrong(self) -> tuple[str, ...]:
        """What is not well, a sentence each."""
        return tuple(check.said for check in self.checks if not check.is_well)
