"""`clir compare`."""

from clir_core.registry.compare_spec import CompareSpec
from flows.commands.console import say_errors_once, spec_of


class Compare(CompareSpec):
    """Hold two registered checkpoints against each other."""

    def cli_cmd(self) -> None:
        """Compare, and say what became better or worse."""
        from flows.server import prefect_server

        with prefect_server(self.workspace):
            from flows.compare import compare

            say_errors_once()
            compared = compare(spec_of(self, CompareSpec))
        print(f"{compared.after} against {compared.before} on {compared.corpus}: {compared.outcome}")
        print(compared.decision.reason)
