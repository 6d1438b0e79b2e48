"""`clir audit`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import CliImplicitFlag

from clir_core.audit.spec import AuditSpec
from clir_core.workspace import layout
from flows.commands.console import ME, WITHOUT_SERVER, say, say_errors_once, say_steps, spec_of
from flows.ending import at_once


class Audit(AuditSpec):
    """Measure a checkpoint's English inclination, and the mirror image, on a multilingual corpus."""

    server: CliImplicitFlag[bool] = Field(True, description=WITHOUT_SERVER)

    def cli_cmd(self) -> None:
        """Audit, and print what was found."""
        spec = spec_of(self, AuditSpec)
        out = (_kept(spec) or _with_server(spec)) if self.server else _without_server(spec)
        _print(out)


def _without_server(spec: AuditSpec) -> Path:
    from clir_core.runs.audit import audit
    from clir_core.runs.here import Here
    from clir_core.runs.runner import Runner

    say_steps()
    with at_once(spec.workspace):
        return audit(spec, Here(), Runner(), by=ME).out


def _with_server(spec: AuditSpec) -> Path:
    from flows.server import prefect_server

    with at_once(spec.workspace), prefect_server(spec.workspace):
        from flows.audit import audit

        say_errors_once()
        return audit(spec).out


def _kept(spec: AuditSpec) -> Path | None:
    """Where the finished result lies, if nothing is left to do and nobody but a temporary server would hear of it.

    What is wrong with the spec is said here, before Prefect or Ray start.
    """
    from clir_core.runs.kept import finished
    from flows.server import is_standing

    found = finished(spec)
    return None if is_standing(spec.workspace) else found


def _print(out: Path) -> None:
    from clir_core.audit.result import AuditResult
    from clir_core.report.table import as_text
    from clir_core.workspace.steps import read_kept

    result = read_kept(out / layout.AUDIT, AuditResult)
    say(f"\n{as_text(result)}\n")
    say("\n".join(result.verdict))
    say(f"\nReport: {out / layout.REPORT}")
