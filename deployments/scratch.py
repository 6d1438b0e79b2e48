"""A folder of nobody else's below the temporary one, for sockets: a socket's path may have 107 characters."""

import shutil
from pathlib import Path

from clir_core.jobs.scratch import is_own, new_scratch
from deployments.settings import Settings


def scratch(settings: Settings) -> Path:
    """The service's, made on first use. A link beside its logs says where it is."""
    link = settings.state / "scratch"
    if not is_own(link):
        link.unlink(missing_ok=True)
        link.symlink_to(new_scratch())
    return link.readlink()


def has_scratch(settings: Settings) -> bool:
    """Whether it is there: temporary folders are cleared."""
    return is_own(settings.state / "scratch")


def remove_scratch(settings: Settings) -> None:
    """The folder, with all that is in it."""
    link = settings.state / "scratch"
    if link.is_symlink():
        shutil.rmtree(link.readlink(), ignore_errors=True)
        link.unlink()
