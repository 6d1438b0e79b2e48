"""A finished audit as a Python object: its figures as Polars frames, its verdict, its pictures, its files."""

import shutil
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from clir_core.audit.result import AuditResult, MetricRow
from clir_core.corpus.lang import language_name
from clir_core.corpus.tables import Corpus
from clir_core.errors import SpecError
from clir_core.measure.compare import Difference, compare_results
from clir_core.workspace import layout
from clir_core.workspace.steps import read_kept
from clir_core.workspace.storage import explained

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Audit:
    """What `audit_model`, `audit_vectors` and `load_audit` return."""

    def __init__(self, result: AuditResult, directory: Path, corpus: Corpus | None = None, keep: Any = None) -> None:
        # `keep` is what the directory lives with
        self.result, self._directory, self._corpus, self._keep = result, directory, corpus, keep

    @property
    def verdict(self) -> tuple[str, ...]:
        """The answer first, then every language and direction in a sentence."""
        return self.result.verdict

    @cached_property
    def metrics(self) -> pl.DataFrame:
        """Every aggregate: scenario, query_lang, lang, metric, value, low, high, n, clusters, p, unit, share."""
        return _frame(self.result.metrics, MetricRow)

    @cached_property
    def queries(self) -> pl.DataFrame:
        """Every query's metrics: a row a query and pool, a column a metric."""
        return self._read(layout.QUERIES)

    @cached_property
    def ranks(self) -> pl.DataFrame:
        """A row a query, pool and gold: its rank, its score, what outranks it by language."""
        return self._read(layout.RANKS)

    @cached_property
    def top(self) -> pl.DataFrame:
        """Every pool's first documents for every query."""
        return self._read(layout.TOP)

    def save(self, directory: Path | str) -> Path:
        """Write the files that `clir audit` writes. StoreError where they cannot be written."""
        out = Path(directory)
        if self._corpus:
            from clir_core.report.outputs import write_outputs

            write_outputs(self.result, self._directory, self._directory, self._corpus, out)
        else:
            with explained(out):
                shutil.copytree(self._directory, out, dirs_exist_ok=True)
        return out

    def plot_dose_response(self) -> "Figure":
        """Accuracy against the pivot's share of what is unrelated, a line a language, as a matplotlib figure.

        Raises SpecError where the audit did not ask for `share`.
        """
        from clir_core.report.plots import dose_response_figure

        figure = dose_response_figure(self.result)
        if figure is None:
            raise SpecError(f"{self.result.name}: no dose-response curve without the scenario share; audit with it")
        return figure

    def plot_inclination(self) -> "Figure":
        """What is claimed: a row a language, worst first, who wins from both query sides, as a matplotlib figure.

        Raises SpecError where nothing is claimed of any language.
        """
        from clir_core.report.plots import inclination_figure

        figure = inclination_figure(self.result)
        if figure is None:
            beside = language_name(self.result.spec.pivot)
            raise SpecError(
                f"{self.result.name}: claims nothing of any language; audit again, with one beside {beside}"
            )
        return figure

    def plot_heat_map(self) -> "Figure":
        """Languages against metrics, the stronger colour the worse figure, as a matplotlib figure."""
        from clir_core.report.plots import heat_map_figure

        return heat_map_figure(self.result)

    def _read(self, name: str) -> pl.DataFrame:
        with explained(self._directory / name):
            return pl.read_parquet(self._directory / name)

    def __repr__(self) -> str:
        said = next(iter(self.verdict), "no verdict")
        return f"<Audit of {self.result.name}: {said}>"


def load_audit(directory: Path | str) -> Audit:
    """The audit whose files are in a directory. StoreError where they are not, or cannot be read."""
    place = Path(directory)
    return Audit(read_kept(place / layout.AUDIT, AuditResult), place)


def compare_audits(before: Audit | Path | str, after: Audit | Path | str) -> pl.DataFrame:
    """Every metric of two audits of the same queries, paired: before, after, difference, interval, p, p after Holm.

    Raises SpecError where they did not ask the same.
    """
    old, new = (one if isinstance(one, Audit) else load_audit(one) for one in (before, after))
    compared = compare_results((old.result, old.queries), (new.result, new.queries))
    return _frame(compared.differences, Difference)


def _frame(rows: Any, kind: type[Any]) -> pl.DataFrame:
    columns = {name: [getattr(row, name) for row in rows] for name in kind.model_fields}
    texts = ("scenario", "query_lang", "lang", "metric", "unit")
    return pl.DataFrame(columns).cast(dict.fromkeys(texts, pl.String))
