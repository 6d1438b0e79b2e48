"""A look at a service: which of its parts died, whether its cluster takes jobs, the disk, the registry."""

import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from clir_core.errors import ClirError, StoreError
from clir_core.registry.health import Check, Health, HealthSpec
from clir_core.registry.registry import Registry
from clir_core.workspace import layout
from clir_core.workspace.atomic import write_text
from clir_core.workspace.deaths import deaths


def look_after(spec: HealthSpec, knock: Callable[[str], object]) -> Health:
    """Look at all of it; `knock` raises ClirError where no cluster takes jobs at an address."""
    return Health(checks=(_parts(spec), *_cluster(spec, knock), _disk(spec), _registry(spec)))


def note_look(spec: HealthSpec, at: datetime) -> None:
    """Keep when was looked, once it is told what was seen: the next look tells what died since."""
    write_text(layout.health_seen(spec.workspace), f"{at.isoformat()}\n")


def check_health(health: Health) -> None:
    """StoreError with all that is not well."""
    if health.wrong:
        raise StoreError(" ".join(health.wrong))


def _parts(spec: HealthSpec) -> Check:
    """Who died since the last look, be it hours ago: checks wait for their turn as other runs do."""
    since = _last_look(spec)
    lately = [death for death in deaths(spec.workspace) if death.at >= since]
    if not lately:
        return Check(what="parts", is_well=True, said=f"No part died since {since:%Y-%m-%d %H:%M} UTC.")
    counts = Counter(death.part for death in lately)
    told = "; ".join(
        f"{last}{f', {counts[part]} times in all' if counts[part] > 1 else ''}"
        for part, last in {death.part: death for death in lately}.items()
    )
    return Check(what="parts", is_well=False, said=f"{told}. It was started again; its log says why.")


def _last_look(spec: HealthSpec) -> datetime:
    """An hour ago where none was noted, or the note is damaged."""
    try:
        return datetime.fromisoformat(layout.health_seen(spec.workspace).read_text("utf-8").strip()).astimezone(UTC)
    except (OSError, ValueError):
        return datetime.now(UTC) - timedelta(hours=1)


def _cluster(spec: HealthSpec, knock: Callable[[str], object]) -> tuple[Check, ...]:
    address = spec.runtime.jobs
    if not address:
        return ()
    try:
        knock(address)
    except ClirError as error:
        return (Check(what="Ray", is_well=False, said=f"{error}."),)
    return (Check(what="Ray", is_well=True, said=f"Ray takes jobs at {address}."),)


def _disk(spec: HealthSpec) -> Check:
    free = shutil.disk_usage(spec.workspace).free / 2**30
    wanted = f"{spec.free_gib:g} GiB should be"
    said = f"{free:.1f} GiB are free for {spec.workspace.resolve()}"
    is_well = free >= spec.free_gib
    return Check(what="disk", is_well=is_well, said=f"{said}." if is_well else f"{said}, and {wanted}: free some.")


def _registry(spec: HealthSpec) -> Check:
    try:
        known = len(Registry(spec.workspace).entries())
    except ClirError as error:
        return Check(what="registry", is_well=False, said=f"{error}.")
    return Check(what="registry", is_well=True, said=f"The registry knows {known:,} checkpoints.")
