"""How much memory there is, and the refusal of work that needs more."""

from pathlib import Path

from clir_core.errors import SpecError

GIB = 2**30
MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def available() -> int | None:
    """Bytes that this process can still take, also by its container's limit; None where the system does not say."""
    try:
        fields = dict(line.split(":") for line in MEMINFO.read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    try:
        limit, used = (int((CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        caches = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return min(free, limit - used + int(caches["inactive_file"]))
    except (OSError, KeyError, ValueError):  # no limit, or none of this kind
        return free


def check_room(need: int, what: str, way_out: str) -> None:
    """SpecError where `what` needs more bytes than are available: both figures, and the way out."""
    free = available()
    if free is not None and need > free:
        raise SpecError(
            f"{what} needs about {need / GIB:.1f} GiB of memory, and {free / GIB:.1f} GiB are available; {way_out}"
        )
