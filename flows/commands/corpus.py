"""`clir corpus`."""

import sys
from shutil import get_terminal_size

from pydantic import Field
from pydantic_settings import CliPositionalArg

from clir_core.corpus.reading import ReadingSpec
from flows.commands.console import say
from flows.table import drawn

WIDTH = 140  # of a table that goes into a file


class Corpus(ReadingSpec):
    """Look at a corpus as an audit would read it: what is there, what is left out, what is suspicious. No audit."""

    corpus: CliPositionalArg[str] = Field(
        description="demo, xquad:DIR, beir:DIR, parquet:DIR or hub:NAME; #NAME is a split"
    )
    languages: tuple[str, ...] = Field((), description="BCP-47 codes beside the pivot; empty means all that it has")
    model: str | None = Field(None, description="Count tokens, by this checkpoint's tokenizer")

    def cli_cmd(self) -> None:
        """Print it."""
        from clir_core.runs.corpus_look import look

        found = look(self.corpus, self.languages, self, self.model)
        head = ["", "documents", "parallel", "queries", "qrels", "characters", "longest"]
        rows = [
            [one.lang, *(f"{n:,}" for n in (one.documents, one.parallel, one.queries, one.qrels))]
            + [f"{one.characters:,}", f"{one.longest:,}"]
            + ([f"{one.tokens:,}"] if one.tokens is not None else [])
            for one in found.languages
        ]
        if self.model:
            head.append("tokens")
        say(drawn(found.name, head, rows, get_terminal_size().columns if sys.stdout.isatty() else WIDTH))
        say(f"{found.groups:,} groups of documents, {found.parallel_groups:,} of them in several languages")
        for title, lines in (("read", found.notes), ("left out", found.skipped), ("suspicious", found.suspicious)):
            say("\n".join([f"\n{title}:", *(f"  - {line}" for line in lines)]) if lines else f"\n{title}: nothing")
