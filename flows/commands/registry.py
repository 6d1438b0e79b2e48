"""The registry from the shell: `clir history`, `show`, `promote` and `watch`, as tables or JSON."""

import getpass
import json
import sys
from shutil import get_terminal_size
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg

from clir_core.measure.gate_spec import Status
from clir_core.registry.discovery import discover
from clir_core.registry.facts import Decided, Entry
from clir_core.registry.history import of_family, shown
from clir_core.registry.nightly import WATCH_LIST
from clir_core.registry.registry import Registry
from clir_core.registry.watch import read_watch_list
from clir_core.shown import one_line
from clir_core.spec import WORKSPACE, Place, Spec
from flows.commands.console import say
from flows.table import drawn

Format = Annotated[Literal["table", "json"], Field(description="table for people, json for programs")]
Workspace = Annotated[Place, Field(description="Where the registry is kept")]
WIDTH = 140  # of a table that goes into a file


class History(Spec):
    """What became of the checkpoints of every family, oldest first."""

    family: str | None = Field(None, description="Only this one")
    workspace: Workspace = WORKSPACE
    format: Format = "table"

    def cli_cmd(self) -> None:
        """Print it."""
        entries = Registry(self.workspace).entries()
        names = [self.family] if self.family else sorted({entry.found.family for entry in entries})
        histories = {name: of_family(entries, name) for name in names}
        if self.format == "json":
            _print_json({name: history.rows() for name, history in histories.items()})
            return
        for name, history in histories.items():
            rows = [[shown(row[column]) for column in history.head] for row in history.rows()]
            _print_table(name, list(history.head), rows)
        if not any(history.entries for history in histories.values()):
            say(f"{Registry(self.workspace).directory}: nothing yet; `clir audit` registers the first checkpoint")


class Show(Spec):
    """Everything that is known of one checkpoint."""

    checkpoint: CliPositionalArg[str] = Field(description="Its name, directory, or the first digits of its fingerprint")
    workspace: Workspace = WORKSPACE
    format: Format = "table"

    def cli_cmd(self) -> None:
        """Print it."""
        entry = Registry(self.workspace).find(self.checkpoint)
        if self.format == "json":
            _print_json(entry.model_dump(mode="json"))
            return
        facts = entry.found.model_dump(mode="json", exclude={"at"})
        _print_table(entry.name, ["", ""], [[name, shown(value)] for name, value in facts.items()])
        _print_table("audits", ["when", "corpus", "outcome", "why", "result"], [
            [f"{one.at:%Y-%m-%d %H:%M}", one.corpus, one.outcome, one.reason or one.verdict, shown(one.out)]
            for one in entry.audits
        ])  # fmt: skip
        _print_table("statuses", ["when", "status", "by", "why"], [
            [f"{one.at:%Y-%m-%d %H:%M}", one.status, one.by, one.reason] for one in entry.history
        ])  # fmt: skip


class Promote(Spec):
    """Give a checkpoint a status by hand: promoted, it is what its family is held against from now on."""

    checkpoint: CliPositionalArg[str] = Field(description="Its name, directory, or the first digits of its fingerprint")
    reason: str = Field(min_length=1, description="Why; it is kept with the status")
    status: Status = Field("promoted", description="promoted, candidate or rejected")
    workspace: Workspace = WORKSPACE
    format: Format = "table"

    def cli_cmd(self) -> None:
        """Add the status, and tell the Prefect server where one is configured."""
        registry = Registry(self.workspace)
        entry = registry.find(self.checkpoint)
        fact = Decided(checkpoint=entry.checkpoint, status=self.status, reason=self.reason, by=getpass.getuser())
        if registry.add(fact):
            entry = registry.get(entry.checkpoint) or entry
            _tell(entry, fact)
        if self.format == "json":
            _print_json(entry.model_dump(mode="json"))
        else:
            say(f"{one_line(entry.name)} ({entry.checkpoint[:12]}): {entry.status}, {entry.history[-1].reason}")


class Watch(Spec):
    """Check a watch list, and say what its sources hold now. Nothing is audited."""

    watch: Place = Field(WATCH_LIST, description="The watch list, a YAML file")
    workspace: Workspace = WORKSPACE
    format: Format = "table"

    def cli_cmd(self) -> None:
        """Print it."""
        from clir_core.runs.offer import check  # what trains and corrects: a second to import

        watch = read_watch_list(self.watch)
        check(watch)
        found = discover(watch, self.workspace)
        if self.format == "json":
            _print_json(found.model_dump(mode="json"))
            return
        _print_table("complete", ["family", "checkpoint", "source", "reference"], [
            [one.family, one.label, one.source, one.ref] for one in found.seen
        ])  # fmt: skip
        _print_table("not complete yet", ["place", "why"], [[one.place, one.reason] for one in found.waiting])
        _print_table("out of reach", ["source", "why"], [[one.place, one.reason] for one in found.problems])


def _tell(entry: Entry, fact: Decided) -> None:
    from prefect.settings import PREFECT_API_URL

    from tasks.events import tell

    if fact.status == "promoted" and PREFECT_API_URL.value():
        tell("promoted", entry, fact)


def _print_json(value: Any) -> None:
    say(json.dumps(value, indent=1, ensure_ascii=False))


def _print_table(title: str, head: list[str], rows: list[list[str]]) -> None:
    if rows:
        say(drawn(title, head, rows, get_terminal_size().columns if sys.stdout.isatty() else WIDTH))
