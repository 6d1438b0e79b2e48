"""Discovery: the complete checkpoints that a watch list's sources hold now. Never looks at what was audited before.

What is still being written waits; a source out of reach is a problem of its own and stops no other.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from pydantic import Field

from clir_core.errors import ClirError, ModelError, StoreError, first_line
from clir_core.model import served, vectors_ref
from clir_core.registry.registry import Registry
from clir_core.registry.watch import AlignedSource, DirectorySource, Family, HubSource, ReferenceSource, WatchList
from clir_core.spec import Spec, Told
from clir_core.workspace.deadline import within

T = TypeVar("T")


class Seen(Spec):
    """A complete checkpoint."""

    ref: str = Field(description="hf:org/name@commit, a directory of this machine, or the source's own reference")
    label: str = Field(description="What people call it: its directory's name, org/name@tag, the server's model")
    family: str
    source: str


class Problem(Spec):
    """What could not be looked at, and why."""

    place: Told
    reason: Told


# what is there, what is not complete, and what is but could not be fetched
Look: TypeAlias = Iterator[Seen | Problem | StoreError]


class Discovered(Spec):
    """What the sources hold."""

    seen: tuple[Seen, ...]
    waiting: tuple[Problem, ...] = Field(description="Checkpoints that are not complete, or not settled, yet")
    problems: tuple[Problem, ...] = Field(description="Sources out of reach")


def discover(watch: WatchList, workspace: Path) -> Discovered:
    """Look at every source of every family."""
    seen: list[Seen] = []
    waiting: list[Problem] = []
    problems: list[Problem] = []
    for family in watch.families:
        for source in family.sources:
            place = f"{family.name}, {source}"
            try:
                for found in _look(source, family, workspace):
                    if isinstance(found, Seen):
                        seen.append(found)
                    elif isinstance(found, Problem):
                        waiting.append(found)
                    else:
                        problems.append(Problem(place=place, reason=str(found)))
            except ClirError as error:
                problems.append(Problem(place=place, reason=str(error)))
    return Discovered(seen=tuple(seen), waiting=tuple(waiting), problems=tuple(problems))


def _look(source: Any, family: Family, workspace: Path) -> Look:
    looks: dict[type, Callable[..., Look]] = {
        DirectorySource: _in_directory,
        HubSource: _on_hub,
        AlignedSource: _aligned,
        ReferenceSource: _referred,
    }
    return looks[type(source)](source, family, workspace)


def _in_directory(source: DirectorySource, family: Family, workspace: Path) -> Look:
    from clir_core.registry.places import Checkpoints

    files = Checkpoints.at(source.path, workspace)
    for place, reason in files.closed.items():
        yield StoreError(f"{place}: {reason}; let this user read it, or move it away")
    for place in files.places:
        try:
            if reason := files.lacks(place, source.settle, source.marker):
                yield Problem(place=place, reason=reason)
                continue
            path = files.local(place)
        except StoreError as error:
            yield error
            continue
        yield Seen(ref=str(path), label=path.name, family=family.name, source=str(source))


def _on_hub(source: HubSource, family: Family, workspace: Path) -> Look:
    from huggingface_hub import HfApi

    from clir_core.registry.places import missing_of

    hub = HfApi()
    refs = _asked(source, lambda: hub.list_repo_refs(source.repo))
    wanted = {"tags": refs.tags, "branches": refs.branches, "all": [*refs.tags, *refs.branches]}
    for found in wanted[source.revisions]:
        commit, label = found.target_commit, f"{source.repo}@{found.name}"
        files = _asked(source, partial(hub.list_repo_files, source.repo, revision=commit))
        if reason := missing_of(files):
            yield Problem(place=label, reason=reason)
        else:
            yield Seen(ref=f"hf:{source.repo}@{commit}", label=label, family=family.name, source=str(source))


def _asked(source: HubSource, question: Callable[[], T]) -> T:
    """A hub's answer; its client waits for ever by itself."""
    from clir_core.registry.places import PATIENCE

    try:
        return within(PATIENCE, str(source), question)
    except ClirError:
        raise
    except Exception as error:
        raise ModelError(
            f"{source}: cannot be asked for its revisions ({type(error).__name__}: {first_line(error)}); check the "
            "name, HF_ENDPOINT and the network, and log in with `hf auth login` if it is gated"
        ) from error


def _aligned(source: AlignedSource, family: Family, workspace: Path) -> Look:
    registry = Registry(workspace)
    for entry in registry.entries():
        parent = registry.get(entry.found.parent or "")
        # a base may have come into its family after the training
        families = {entry.found.family, parent.found.family if parent else ""}
        if entry.found.run and family.name in families and Path(entry.found.ref).is_dir():
            yield Seen(ref=entry.found.ref, label=entry.name, family=family.name, source=str(source))


def _referred(source: ReferenceSource, family: Family, workspace: Path) -> Look:
    # whether it is there, and in which state, shows when it is resolved
    is_served = source.ref.startswith(served.SCHEMES)
    label = served.parse(source.ref).model if is_served else vectors_ref.name_of(source.ref)
    yield Seen(ref=source.ref, label=label, family=family.name, source=str(source))
