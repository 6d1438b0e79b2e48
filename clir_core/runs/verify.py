"""Whether this environment still gives the vectors that an audit was made of."""

from pathlib import Path

from pydantic import Field

from clir_core.audit.result import AuditResult
from clir_core.audit.spec import RuntimeSpec
from clir_core.errors import SpecError
from clir_core.model.canary import changed_versions, distance, is_same
from clir_core.model.checkpoint import resolve
from clir_core.spec import Spec
from clir_core.workspace import layout
from clir_core.workspace.private import close
from clir_core.workspace.steps import read_result


class Verified(Spec):
    """What became of an audit's checkpoint, and of the vectors that it gives."""

    audit: str
    model: str
    same_checkpoint: bool = Field(description="Whether the files that decide a vector are those of then")
    same_vectors: bool = Field(description="Whether five texts get the vectors of then, but for the last bits")
    distance: float = Field(description="The largest 1 - cosine of one text's vector then and now")
    versions: str = Field(description="Libraries that have changed, in words")

    def sentence(self) -> str:
        """The finding in words."""
        files = "its files are those of then" if self.same_checkpoint else "its files are others than then"
        vectors = "gives the same vectors as then" if self.same_vectors else "gives OTHER vectors than then"
        return f"{self.model}: {vectors} (1 - cosine up to {self.distance:.2g}); {files}; {self.versions}"


def verify(place: Path, workspace: Path) -> Verified:
    """Encode the canary of an audit, in its directory or its audit.json, again.

    SpecError where there is no audit, or it keeps no canary; ModelError where its model cannot be loaded.
    """
    from clir_core.runs.embed import canary_of
    from clir_core.runs.here import encoders

    file = place / layout.AUDIT if place.is_dir() else place
    audit = read_result(file, AuditResult)
    if audit is None:
        raise SpecError(f"{file}: is no audit; give the directory of a result, or its {layout.AUDIT}")
    before = audit.provenance.canary
    if before is None:
        raise SpecError(f"{file}: keeps no canary: it is of an older version, or its vectors came from elsewhere")
    close(workspace)
    checkpoint = resolve(audit.spec.model, audit.spec.encoding, layout.models(workspace), before.dtype)
    with encoders(checkpoint, RuntimeSpec()) as opened:
        now, _ = canary_of(opened)
    assert now  # of what encoded before
    return Verified(
        audit=str(file),
        model=audit.spec.model,
        same_checkpoint=checkpoint.digest == audit.provenance.checkpoint,
        same_vectors=is_same(before, now),
        distance=distance(before, now),
        versions=changed_versions(before, now),
    )
