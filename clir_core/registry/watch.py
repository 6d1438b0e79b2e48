"""The watch list: where checkpoints appear, what each is asked, and when a change is a regression. A YAML file."""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import Field, ValidationError, field_validator

from clir_core.audit.spec import AuditSpec
from clir_core.correct.spec import Corrects
from clir_core.errors import SpecError
from clir_core.measure.gate_spec import GateSpec
from clir_core.model.served import ModelRef
from clir_core.spec import Spec
from clir_core.workspace.storage import explained

KINDS = ("directory", "hub", "aligned", "reference")
# what a nightly run says itself
_NOT_ASKED = ("model", "workspace", "runtime", "out")
_NOT_TRAINED = ("base", "workspace", "runtime", "out")


class DirectorySource(Spec):
    """A directory, or an object store's prefix, under which checkpoints appear."""

    kind: Literal["directory"] = "directory"
    path: str = Field(min_length=1, description="Relative ones lie in the workspace; s3://bucket/prefix and gs:// work")
    settle: float = Field(60, ge=0, allow_inf_nan=False, description="Seconds for which no file may have changed")
    marker: str | None = Field(
        None, min_length=1, description="A file that says a checkpoint is complete, instead of waiting"
    )

    @field_validator("path")
    @classmethod
    def _names_no_secret(cls, path: str) -> str:
        if "://" in path and urlsplit(path).password:
            raise ValueError("a password stands in it, and this file is no place for one; put it in the environment")
        return path

    def __str__(self) -> str:
        return self.path


class HubSource(Spec):
    """A repository on the Hugging Face hub, at HF_ENDPOINT where that is set."""

    kind: Literal["hub"] = "hub"
    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="org/name")
    revisions: Literal["tags", "branches", "all"] = Field("tags", description="What counts as a checkpoint")

    def __str__(self) -> str:
        return f"hf:{self.repo}"


class AlignedSource(Spec):
    """What `align` registered in this family."""

    kind: Literal["aligned"] = "aligned"

    def __str__(self) -> str:
        return "align"


class ReferenceSource(Spec):
    """A model by its reference: stored vectors or a server, each new state of which is a checkpoint."""

    kind: Literal["reference"] = "reference"
    ref: ModelRef = Field(
        pattern="^(vectors:|https?://)", description="As in `clir audit --model`: vectors:DIR, http://HOST/v1#MODEL"
    )

    def __str__(self) -> str:
        return self.ref


Source = Annotated[DirectorySource | HubSource | AlignedSource | ReferenceSource, Field(discriminator="kind")]


class Family(Spec):
    """Checkpoints that follow one another."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Letters, digits, dots, - and _")
    baseline: ModelRef | None = Field(
        None, description="Reference of the model that all are held against until one of them is promoted"
    )
    sources: tuple[Source, ...] = Field(min_length=1)
    offer: Corrects = Field(
        Corrects(), description="A correction that is audited beside each checkpoint that regressed: it trains nothing"
    )
    finetune: dict[str, Any] = Field(
        {},
        description="The family's own data, such as train, evaluation, head_texts: what a regressed checkpoint is "
        "trained with by itself. Fields of `clir align` but base, workspace, runtime and out; empty means the demo's",
    )

    @field_validator("finetune")
    @classmethod
    def _leaves_to_the_run(cls, finetune: dict[str, Any]) -> dict[str, Any]:
        if own := [name for name in _NOT_TRAINED if name in finetune]:
            raise ValueError(f"{', '.join(own)}: the run that trains says so itself; leave it out")
        return finetune


class WatchList(Spec):
    """What the nightly run looks at."""

    version: Literal[1] = Field(description="Of this file's format")
    audit: AuditSpec = Field(AuditSpec(), description="What every checkpoint is asked")
    gate: GateSpec = Field(GateSpec(), description="What a regression is measured by")
    families: tuple[Family, ...] = Field(min_length=1)

    @field_validator("audit")
    @classmethod
    def _leaves_to_the_run_what_is_its_own(cls, audit: AuditSpec) -> AuditSpec:
        if own := [name for name in _NOT_ASKED if name in audit.model_fields_set]:
            raise ValueError(f"{', '.join(own)}: the nightly run says so itself; leave it out")
        return audit

    @field_validator("families")
    @classmethod
    def _have_names_of_their_own(cls, families: tuple[Family, ...]) -> tuple[Family, ...]:
        names = [family.name for family in families]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two families are called {twice[0]!r}; merge them, or rename one")
        return families


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which takes the last of two equal keys and forgets the other without a word."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if twice := [key for key, _ in node.value if keys.count(key.value) > 1]:
            raise yaml.constructor.ConstructorError(
                None, None, f"{twice[-1].value!r} stands there twice", twice[-1].start_mark
            )
        return super().construct_mapping(node, deep)


def read_watch_list(path: Path) -> WatchList:
    """The watch list in a file; SpecError that names the file, the place in it, the value and the way out."""
    with explained(path):
        text = path.read_text("utf-8")
    try:
        found = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date or a number that is none; too deep
        raise SpecError(f"{path}: is no YAML ({' '.join(str(error).split())}); mend it there") from error
    try:
        return WatchList.model_validate(found)
    except ValidationError as error:
        # a list whose only entry is wrong is called empty, too
        wrong = [item for item in error.errors() if item["type"] != "too_short" or not item["input"]]
        problems = "\n".join(f"  - {_place(item['loc'])}: {_told(item)}" for item in wrong)
        raise SpecError(f"{path}: is no watch list; docs/operations.md shows one\n{problems}") from error


def _place(path: tuple[int | str, ...]) -> str:
    """'families.1.sources.0.path', or the whole file."""
    # pydantic adds a source's kind, which stands in no file at this place
    return ".".join(str(part) for part in path if part not in KINDS) or "the file"


def _told(item: Any) -> str:
    value, kind = item["input"], item["type"]
    if kind == "extra_forbidden":
        return f"there is no such field ({value!r})"
    # what a validator here says names the value, where it may be shown
    shown = isinstance(value, str | int | float | bool) and kind != "value_error"
    return f"{item['msg']}, not {value!r}" if shown else item["msg"]
