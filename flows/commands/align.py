"""`clir align`."""

from typing import TYPE_CHECKING

from clir_core.align.spec import AlignSpec
from clir_core.workspace import layout
from flows.commands.console import say_errors_once, spec_of

if TYPE_CHECKING:
    from clir_core.align.result import AlignSummary


class Align(AlignSpec):
    """Train a checkpoint against language inclination, prove on held-out data what that changed, and register it."""

    def cli_cmd(self) -> None:
        """Align, and print what was gained and what it cost."""
        from clir_core.runs.align import check
        from flows.server import prefect_server

        spec = spec_of(self, AlignSpec)
        check(spec)
        with prefect_server(spec.workspace):
            from flows.align import align

            say_errors_once()
            summary = align(spec)
        _print(spec, summary)


def _print(spec: AlignSpec, summary: "AlignSummary") -> None:
    from clir_core.registry.registry import Registry
    from clir_core.report.alignment_outputs import read_alignment
    from clir_core.report.alignment_table import as_text

    result = read_alignment(summary.out)
    print(f"\n{as_text(result)}\n")
    print("\n".join(summary.verdict))
    print(f"\nReport: {summary.out / layout.REPORT}")
    print(f"Checkpoint: {summary.checkpoint}")
    registry = Registry(spec.workspace)
    entry = registry.get(result.digest)
    print(f"Registered in {registry.directory.resolve()} as {result.name}: {entry.status if entry else 'gone'}")
