"""`clir align`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import CliImplicitFlag

from clir_core.align.spec import AlignSpec
from clir_core.workspace import layout
from flows.commands.console import ME, WITHOUT_SERVER, say, say_errors_once, say_steps, spec_of
from flows.ending import at_once


class Align(AlignSpec):
    """Train a checkpoint against language inclination, prove on held-out data what that changed, and register it."""

    server: CliImplicitFlag[bool] = Field(True, description=WITHOUT_SERVER)

    def cli_cmd(self) -> None:
        """Align, and print what was gained and what it cost."""
        spec = spec_of(self, AlignSpec)
        _print(spec, _with_server(spec) if self.server else _without_server(spec))


def _with_server(spec: AlignSpec) -> Path:
    from clir_core.runs.align import check
    from flows.server import prefect_server

    check(spec)  # what is wrong with it is said before a server starts
    with at_once(spec.workspace), prefect_server(spec.workspace):
        from flows.align import align

        say_errors_once()
        return align(spec).out


def _without_server(spec: AlignSpec) -> Path:
    from clir_core.runs.align import align
    from clir_core.runs.audit import audit
    from clir_core.runs.here import Here
    from clir_core.runs.runner import Runner

    say_steps()
    with at_once(spec.workspace):
        return align(spec, Here(), Runner(), lambda _, asked: audit(asked, Here(), Runner(), by=ME).out, by=ME).out


def _print(spec: AlignSpec, out: Path) -> None:
    from clir_core.registry.registry import Registry
    from clir_core.report.alignment_outputs import read_alignment
    from clir_core.report.alignment_table import as_text

    result = read_alignment(out)
    say(f"\n{as_text(result)}\n")
    say("\n".join(result.verdict))
    say(f"\nReport: {out / layout.REPORT}")
    say(f"Checkpoint: {result.trained.checkpoint}")
    registry = Registry(spec.workspace)
    entry = registry.get(result.digest)
    say(f"Registered in {registry.directory.resolve()} as {result.name}: {entry.status if entry else 'gone'}")
