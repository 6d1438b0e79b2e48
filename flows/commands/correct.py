"""`clir correct`."""

from clir_core.correct.table_spec import CorrectSpec
from flows.commands.console import say, say_steps, spec_of
from flows.ending import at_once


class Correct(CorrectSpec):
    """Correct a table of vectors that serves already, beside itself, and say what queries have to do."""

    def cli_cmd(self) -> None:
        """Fit, write, audit; print what was found."""
        from clir_core.runs.correct import QUERY_SIDE, correct
        from clir_core.runs.runner import Runner

        spec = spec_of(self, CorrectSpec)
        say_steps()
        with at_once(spec.workspace):
            found = correct(spec, Runner())
        for when, audited in (("before", found.before), ("after", found.after)):
            if audited:
                say("\n".join([f"\n{when}:", *audited.result.verdict]))
        needs = "Queries need their language." if found.queries.needs_language else "Queries need no language."
        say(f"\nCorrected: {found.vectors}\nQueries: {found.out / QUERY_SIDE}. {needs}")
