"""What a workspace keeps of how its vectors were made."""

from pydantic import Field

from clir_core.model.canary import Canary
from clir_core.model.reading import Reading
from clir_core.spec import Spec


class Proof(Spec):
    """How a checkpoint's texts became the vectors of a workspace, and its canary."""

    reading: Reading
    canary: Canary | None = Field(description="Null for vectors that were made elsewhere")
