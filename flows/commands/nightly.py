"""`clir nightly`."""

from clir_core.registry.nightly import NightlySpec
from clir_core.shown import one_line
from flows.commands.console import say, say_errors_once, spec_of
from flows.ending import at_once


class Nightly(NightlySpec):
    """Audit every new checkpoint of the watch list against its baseline."""

    def cli_cmd(self) -> None:
        """Go through the watch list, and say what came of each audit."""
        from clir_core.runs.nightly import read_night
        from flows.server import prefect_server

        spec = spec_of(self, NightlySpec)
        read_night(spec)  # what is wrong with it is said before a server starts
        with at_once(self.workspace), prefect_server(self.workspace):
            from flows.nightly import nightly

            say_errors_once()
            summary = nightly(spec)
        for one in summary.judged:
            say(f"{one.family}, {one_line(one.name)}: {one.outcome}. {one.reason}")
        say(f"{len(summary.judged)} audited, {summary.known} known before, {len(summary.waiting)} not complete yet")
