"""The console command `clir`. Its options are the fields of a flow's spec, nothing else."""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, CliApp, CliSubCommand, SettingsConfigDict, get_subcommand

from clir_core.align.spec import AlignSpec
from clir_core.audit.result import AuditResult
from clir_core.audit.spec import AuditSpec, EmbedSpec
from clir_core.errors import ClirError
from clir_core.registry.comparison import CompareSpec
from clir_core.registry.nightly import NightlySpec
from clir_core.report.table import as_text
from flows.registry_cli import History, Promote, Show, Watch
from flows.server import prefect_server


class Audit(AuditSpec):
    """Measure a checkpoint's English inclination, and the mirror image, on a multilingual corpus."""


class Align(AlignSpec):
    """Train a checkpoint against language inclination, prove on held-out data what that changed, and register it."""


class Nightly(NightlySpec):
    """Audit every new checkpoint of the watch list against its baseline."""


class Embed(EmbedSpec):
    """Put a corpus's vectors into LanceDB, ahead of the audits that will rank them."""


class Compare(CompareSpec):
    """Hold two registered checkpoints against each other."""


class Clir(BaseSettings):
    """Does this checkpoint favour English, and can it be mended before it ships?"""

    model_config = SettingsConfigDict(cli_prog_name="clir", cli_kebab_case=True, cli_avoid_json=True)
    audit: CliSubCommand[Audit]
    align: CliSubCommand[Align]
    nightly: CliSubCommand[Nightly]
    embed: CliSubCommand[Embed]
    compare: CliSubCommand[Compare]
    history: CliSubCommand[History]
    show: CliSubCommand[Show]
    promote: CliSubCommand[Promote]
    watch: CliSubCommand[Watch]


def main(before: Sequence[str] = ()) -> None:
    """Run a command; exit code 1 and one message where something is wrong that the user can mend."""
    try:
        asked = get_subcommand(CliApp.run(Clir, cli_args=[*before, *sys.argv[1:]], cli_exit_on_error=True))
    except ValidationError as error:
        sys.exit("\n".join(f"{_option(item['loc'])}: {item['msg']}" for item in error.errors()))
    with one_message():
        if isinstance(asked, History | Show | Promote | Watch):
            asked.cli_cmd()
            return
        for command, spec, run in COMMANDS:
            if isinstance(asked, command):
                with prefect_server(asked.workspace):
                    run(spec(**{name: getattr(asked, name) for name in spec.model_fields}))


def _option(place: tuple[int | str, ...]) -> str:
    """--optimiser.batch, or the command where no single option is wrong."""
    command, *names = place
    return f"--{'.'.join(map(str, names))}" if names else f"clir {command}"


def run_audit(spec: AuditSpec) -> None:
    """Run the flow here and print what it found."""
    from flows.audit import audit

    say_errors_once()
    summary = audit(spec)
    result = AuditResult.model_validate_json((summary.out / "audit.json").read_text("utf-8"))
    print(f"\n{as_text(result)}\n")
    print("\n".join(summary.verdict))
    print(f"\nReport: {summary.out / 'report.html'}")


def run_align(spec: AlignSpec) -> None:
    """The same for an alignment run."""
    from clir_core.registry.facts import Registry
    from clir_core.report.alignment_outputs import read_alignment
    from clir_core.report.alignment_table import as_text
    from flows.align import align

    say_errors_once()
    summary = align(spec)
    result = read_alignment(summary.out)
    print(f"\n{as_text(result)}\n")
    print("\n".join(summary.verdict))
    print(f"\nReport: {summary.out / 'report.html'}")
    print(f"Checkpoint: {summary.checkpoint}")
    registry = Registry(spec.workspace)
    entry = registry.get(result.digest)
    print(f"Registered in {registry.directory.resolve()} as {result.name}: {entry.status if entry else 'gone'}")


def run_nightly(spec: NightlySpec) -> None:
    """The same for a night's audits."""
    from flows.nightly import nightly

    say_errors_once()
    summary = nightly(spec)
    for one in summary.judged:
        print(f"{one.family}, {one.name}: {one.outcome}. {one.reason}")
    print(f"{len(summary.judged)} audited, {summary.known} known before, {len(summary.waiting)} not complete yet")


def run_embed(spec: EmbedSpec) -> None:
    """The same for a corpus's vectors."""
    from flows.embed import embed

    say_errors_once()
    embedded = embed(spec)
    print(f"{embedded.encoded:,} texts encoded, {embedded.reused:,} were there: {embedded.documents.uri}")


def run_compare(spec: CompareSpec) -> None:
    """The same for a comparison."""
    from flows.compare import compare

    say_errors_once()
    compared = compare(spec)
    print(f"{compared.after} against {compared.before} on {compared.corpus}: {compared.outcome}")
    print(compared.decision.reason)


COMMANDS: tuple[tuple[type[Any], type[Any], Callable[[Any], None]], ...] = (
    (Audit, AuditSpec, run_audit),
    (Align, AlignSpec, run_align),
    (Nightly, NightlySpec, run_nightly),
    (Embed, EmbedSpec, run_embed),
    (Compare, CompareSpec, run_compare),
)


@contextmanager
def one_message() -> Iterator[None]:
    """What the user can mend ends the process: exit code 1, the message alone."""
    try:
        yield
    except ClirError as error:
        sys.exit(f"clir: {error}")


def say_errors_once() -> None:
    """An error that the user can mend is shown at the end, its message alone; the rest keep their traceback.

    Prefect would say it four times over: for the task, for the flow, and for the state of each. After its import only.
    """
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_without_traceback)
    for console in logging.getLogger().handlers:
        console.addFilter(_not_said_at_the_end)


def _without_traceback(record: logging.LogRecord) -> bool:
    if record.exc_info and isinstance(record.exc_info[1], ClirError):
        record.exc_info = None
        record.said_at_the_end = True
    return True


def _not_said_at_the_end(record: logging.LogRecord) -> bool:
    return not hasattr(record, "said_at_the_end") and not record.getMessage().startswith("Finished in state Failed(")


if __name__ == "__main__":
    main()
