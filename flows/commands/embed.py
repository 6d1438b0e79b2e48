"""`clir embed`."""

from clir_core.audit.spec import EmbedSpec
from flows.commands.console import say, say_errors_once, spec_of
from flows.ending import at_once


class Embed(EmbedSpec):
    """Put a corpus's vectors into LanceDB, ahead of the audits that will rank them."""

    def cli_cmd(self) -> None:
        """Embed, and say how much there was to do."""
        from clir_core.model.device import dtype_of, has_gpu_here
        from clir_core.runs.audit import resolved
        from clir_core.runs.read import read
        from flows.server import prefect_server

        spec = spec_of(self, EmbedSpec)
        # what is wrong is said before a server starts
        read(spec)
        resolved(spec, dtype_of(has_gpu_here()))
        with at_once(spec.workspace), prefect_server(spec.workspace):
            from flows.embed import embed

            say_errors_once()
            embedded = embed(spec)
        assert embedded.documents
        say(f"{embedded.encoded:,} texts encoded, {embedded.reused:,} were there: {embedded.documents.uri}")
