"""Which two checkpoints of the registry are held against each other."""

from pydantic import Field

from clir_core.measure.gate_spec import GateSpec
from clir_core.spec import WORKSPACE, Place, Spec


class CompareSpec(Spec):
    """Which two checkpoints, and what counts."""

    after: str | None = Field(
        None, description="Name, directory or fingerprint of a registered checkpoint; None means the one audited last"
    )
    before: str | None = Field(
        None, description="The one to hold it against; None means its parent, or the one before it in its family"
    )
    gate: GateSpec = GateSpec()
    workspace: Place = Field(WORKSPACE, description="Where the registry is kept")
