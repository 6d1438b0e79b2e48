"""The commands of `clir`, one class each: its fields are the options, `cli_cmd` does it. COMMANDS is the one list.

A command's module is imported when it is called, and nothing heavy before its options are right.
"""

from importlib import import_module
from typing import NamedTuple

from pydantic import BaseModel


class Command(NamedTuple):
    """Where a command's class is, and what it does, in a line."""

    module: str
    name: str
    about: str

    def load(self) -> type[BaseModel]:
        """Its class."""
        found: type[BaseModel] = getattr(import_module(f"flows.commands.{self.module}"), self.name)
        return found


COMMANDS = {
    "audit": Command("audit", "Audit", "Measure a checkpoint's English inclination, and the mirror image."),
    "align": Command("align", "Align", "Train a checkpoint against language inclination, prove what that changed."),
    "nightly": Command("nightly", "Nightly", "Audit every new checkpoint of the watch list against its baseline."),
    "models": Command("models", "Models", "How checkpoints would be read, and what is suspicious. No audit."),
    "verify": Command("models", "Verify", "Whether this environment still gives the vectors of an audit."),
    "correct": Command("correct", "Correct", "Correct a table of vectors that serves already, beside itself."),
    "embed": Command("embed", "Embed", "Put a corpus's vectors into LanceDB, ahead of the audits that will rank them."),
    "compare": Command("compare", "Compare", "Hold two registered checkpoints against each other."),
    "history": Command("registry", "History", "What became of the checkpoints of every family, oldest first."),
    "show": Command("registry", "Show", "Everything that is known of one checkpoint."),
    "promote": Command("registry", "Promote", "Give a checkpoint a status by hand."),
    "watch": Command("registry", "Watch", "Check a watch list, and say what its sources hold now."),
    "doctor": Command("doctor", "Doctor", "Look through a workspace for damage, and mend it when asked."),
    "corpus": Command("corpus", "Corpus", "Look at a corpus as an audit would read it. Nothing is audited."),
}
