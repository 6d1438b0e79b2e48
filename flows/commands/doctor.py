"""`clir doctor`."""

import sys

from pydantic import Field
from pydantic_settings import CliImplicitFlag

from clir_core.errors import SpecError
from clir_core.spec import WORKSPACE, Place, Spec
from flows.commands.console import say


class Doctor(Spec):
    """Look through a workspace for damage and leftovers, say what would mend it, and do so when asked.

    Damaged files are moved aside, never deleted. Exit code 1 where something is damaged, and left so.
    """

    repair: CliImplicitFlag[bool] = Field(False, description="Do what is proposed")
    workspace: Place = Field(WORKSPACE, description="What to look through")

    def cli_cmd(self) -> None:
        """Say what was found, a line each, and below it what would be done, or was."""
        if not self.workspace.is_dir():
            raise SpecError(f"{self.workspace}: no workspace is there; say which one with --workspace")
        from clir_core.runs.doctor import examine  # Arrow and Polars: a second to import

        ill = False
        for finding in examine(self.workspace.resolve()):
            say(finding.said)
            if self.repair and finding.mend:
                say(f"  done: {finding.mend()}")
                continue
            ill |= finding.is_damage
            if finding.would:
                say(f"  {'--repair would ' if finding.mend else ''}{finding.would}")
        if ill:
            sys.exit(1)
