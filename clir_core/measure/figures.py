"""Figures of an audit: which one is meant, where it stands in the result, and how it is printed."""

import math

from clir_core.audit.result import AuditResult, MetricRow
from clir_core.measure.metrics import metric_better, metric_named

NONE = "—"
_USUAL = 10
ONE_DIGIT = ("rank", "ranks", "percent")


def cutoff(result: AuditResult) -> int:
    """The k that the short tables show: the one nearest to the usual."""
    return min(result.spec.cutoffs, key=lambda k: (abs(k - _USUAL), -k), default=_USUAL)


def number(metric: str, value: float) -> str:
    """A value as it is printed: ranks and percent with one digit, differences with their sign."""
    if not math.isfinite(value):
        return NONE
    found = metric_named(metric)
    digits = 1 if found and found.unit in ONE_DIGIT else 3
    value = round(value, digits) + 0.0  # no minus before a zero
    text = f"{value:+,.{digits}f}" if _signed(metric) else f"{value:,.{digits}f}"
    return text.replace("-", "−")


def interval(row: MetricRow) -> str:
    """The 95 % interval as it is printed."""
    if not (math.isfinite(row.low) and math.isfinite(row.high)):
        return ""
    low, high = number(row.metric, row.low), number(row.metric, row.high)
    return f"{low} to {high}" if _signed(row.metric) or row.low < 0 else f"{low}–{high}"


def _signed(metric: str) -> bool:
    return metric_better(metric) == "0"


def signed(metric: str, value: float) -> str:
    """A difference as it is printed, with its sign unless it is 0 to the last digit."""
    if not math.isfinite(value):
        return NONE
    text = number(metric, abs(value)).lstrip("+")
    if not text.strip("0.,"):
        return text
    return f"{'−' if value < 0 else '+'}{text}"


def p_value(p: float) -> str:
    """A p as it is printed."""
    if not math.isfinite(p):
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
