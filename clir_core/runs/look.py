"""A look at checkpoints before any audit: what would be loaded, how it would be read, what is suspicious."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from clir_core.errors import ClirError
from clir_core.model.baseline import UNSTORED
from clir_core.model.checkpoint import Checkpoint, EncodingSpec, resolve
from clir_core.model.reading import Reading, reading_of
from clir_core.spec import Spec
from clir_core.workspace import layout
from clir_core.workspace.private import close
from clir_core.workspace.storage import path_of


class Looked(Spec):
    """One checkpoint, loaded and tried on a few texts, or why it cannot be."""

    ref: str
    name: str = ""
    digest: str = ""
    reading: Reading | None = Field(None, description="How it is read; null where it is refused")
    refused: str = Field("", description="Why it cannot be audited; empty where it can")


def look(ref: str, encoding: EncodingSpec, workspace: Path) -> Iterator[Looked]:
    """The checkpoint of this reference, or, of a directory that holds several, each of them."""
    close(workspace)
    for one in _references(ref, workspace):
        try:
            checkpoint = resolve(one, encoding, layout.models(workspace), "float32")
            yield Looked(ref=one, name=checkpoint.name, digest=checkpoint.digest, reading=_tried(checkpoint))
        except ClirError as error:
            yield Looked(ref=one, refused=str(error))


def _references(ref: str, workspace: Path) -> list[str]:
    place = path_of(ref)
    if not place.is_dir():
        return [ref]
    from clir_core.registry.places import Checkpoints

    root = str(place.resolve())
    places = Checkpoints.at(root, workspace).places
    return places if places and root not in places else [ref, *(below for below in places if below != root)]


def _tried(checkpoint: Checkpoint) -> Reading:
    """How it is read, with what is odd about the vectors of a few texts, where each has one."""
    if checkpoint.kind in UNSTORED:
        from clir_core.runs.in_memory import check_loads

        check_loads(checkpoint)
        return reading_of(checkpoint)
    from clir_core.audit.spec import RuntimeSpec
    from clir_core.rank.suspicions import oddities
    from clir_core.runs.embed import canary_of
    from clir_core.runs.here import encoders

    with encoders(checkpoint, RuntimeSpec()) as opened:
        canary, reading = canary_of(opened)
    odd = oddities(canary.array(), "texts") if canary else []
    return reading.model_copy(update={"notes": (*reading.notes, *odd)})
