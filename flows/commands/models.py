"""`clir models` and `clir verify`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg

from clir_core.model.checkpoint import EncodingSpec
from clir_core.shown import one_line
from clir_core.spec import WORKSPACE, Place, Spec
from flows.commands.console import say

Format = Annotated[Literal["text", "json"], Field(description="text for people, json for programs, a line each")]


class Models(Spec):
    """What would be loaded of a checkpoint, or of each below a directory, how it is read, and what is suspicious."""

    model: CliPositionalArg[str] = Field(
        description="A reference as in `clir audit --model`, or a directory of several"
    )
    encoding: EncodingSpec = EncodingSpec()
    workspace: Place = Field(WORKSPACE, description="Where checkpoints that were fetched are kept")
    format: Format = "text"

    def cli_cmd(self) -> None:
        """Print it; exit code 1 where none can be audited."""
        from clir_core.report.reading import reading_rows
        from clir_core.runs.look import look

        usable = 0
        for one in look(self.model, self.encoding, self.workspace):
            usable += one.reading is not None
            if self.format == "json":
                say(one.model_dump_json())
                continue
            say(f"\n{one_line(one.ref)}" + (f", fingerprint {one.digest[:16]}" if one.digest else ""))
            if one.reading is None:
                say(f"  cannot be audited: {one.refused}")
                continue
            for label, value in reading_rows(one.reading):
                say(f"  {label}: {one_line(value)}")
            for note in one.reading.notes:
                say(f"  note: {note}")
        if not usable:
            sys.exit(1)


class Verify(Spec):
    """Whether this environment still gives the vectors that an audit was made of."""

    audit: CliPositionalArg[Path] = Field(description="The directory of an audit's result, or its audit.json")
    workspace: Place = Field(WORKSPACE, description="Where checkpoints that were fetched are kept")
    format: Format = "text"

    def cli_cmd(self) -> None:
        """Print it; exit code 1 where the vectors are others."""
        from clir_core.runs.verify import verify

        verified = verify(self.audit, self.workspace)
        say(verified.model_dump_json() if self.format == "json" else verified.sentence())
        if not verified.same_vectors:
            sys.exit(1)
