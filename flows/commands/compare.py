"""`clir compare`."""

from clir_core.registry.compare_spec import CompareSpec
from clir_core.shown import one_line
from flows.commands.console import say, say_errors_once, spec_of
from flows.ending import at_once


class Compare(CompareSpec):
    """Hold two registered checkpoints against each other."""

    def cli_cmd(self) -> None:
        """Compare, and say what became better or worse."""
        from clir_core.measure import gate
        from clir_core.registry.registry import Registry
        from flows.server import prefect_server

        # what is wrong is said before a server starts
        gate.check(self.gate)
        for named in filter(None, (self.before, self.after)):
            Registry(self.workspace).find(named)
        with at_once(self.workspace), prefect_server(self.workspace):
            from flows.compare import compare

            say_errors_once()
            compared = compare(spec_of(self, CompareSpec))
        say(one_line(f"{compared.after} against {compared.before} on {compared.corpus}: {compared.outcome}"))
        say(compared.decision.reason)
