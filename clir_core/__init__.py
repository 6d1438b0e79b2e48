"""The library: what English inclination is, measured and mended. Never imports prefect; ray only in `clir_core.jobs`.

From Python: `audit_model`, `audit_vectors`, `load_audit`, `compare_audits`, `read_corpus` and how, a `ReadingSpec`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clir_core.corpus.reading import ReadingSpec
    from clir_core.runs.audited import Audit, compare_audits, load_audit
    from clir_core.runs.model import audit_model
    from clir_core.runs.vectors import audit_vectors
    from clir_core.sources import read_corpus

_FROM = {
    "Audit": "clir_core.runs.audited",
    "ReadingSpec": "clir_core.corpus.reading",
    "audit_model": "clir_core.runs.model",
    "audit_vectors": "clir_core.runs.vectors",
    "compare_audits": "clir_core.runs.audited",
    "load_audit": "clir_core.runs.audited",
    "read_corpus": "clir_core.sources",
}
__all__ = ["Audit", "ReadingSpec", "audit_model", "audit_vectors", "compare_audits", "load_audit", "read_corpus"]


def __getattr__(name: str) -> Any:
    # on first use: the console command imports this package and needs none of them
    if name in _FROM:
        return getattr(import_module(_FROM[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
