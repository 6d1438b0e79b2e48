"""An audit that was done before: found again without computing anything."""

from pathlib import Path

from clir_core.audit.index import Searched
from clir_core.audit.result import Embedded, Measured
from clir_core.audit.spec import AuditSpec
from clir_core.corpus.clusters import cluster_queries
from clir_core.model.device import dtype_of, has_gpu_here
from clir_core.rank.ranked import Ranked
from clir_core.registry.registry import Registry
from clir_core.runs import audit
from clir_core.runs.made import made_of
from clir_core.runs.places import index_directory, measures_directory, output_directory, ranks_directory
from clir_core.runs.read import read
from clir_core.workspace import layout
from clir_core.workspace.steps import read_result


def finished(spec: AuditSpec) -> Path | None:
    """Where the whole result of this audit lies, if it is of these very texts and weights; None where work is left.

    Errors are those that the audit would meet before it computes: of its corpus, its checkpoint, its spec.
    """
    found = read(spec)
    corpus, fit = found.corpus, found.fit
    clusters = cluster_queries(corpus, spec.cluster)
    checkpoint = audit.resolved(spec, dtype_of(has_gpu_here()))
    ranks = ranks_directory(spec, corpus, checkpoint, fit)
    ranked, embedded = read_result(ranks / layout.RESULT, Ranked), read_result(ranks / layout.EMBEDDED, Embedded)
    measured = read_result(measures_directory(spec, ranks, clusters) / layout.RESULT, Measured)
    if not (ranked and embedded and measured):
        return None
    origin = made_of(spec, checkpoint, fit, embedded)
    made = audit.result(spec, corpus, checkpoint.name, ranked, measured, origin, {})
    beside: Measured | None = Measured(metrics=())
    if found.whole is not corpus:
        with_seen = ranks_directory(spec, found.whole, checkpoint, fit)
        beside = read_result(measures_directory(spec, with_seen, clusters) / layout.RESULT, Measured)
    if beside is None:
        return None
    if spec.index:
        searched = read_result(index_directory(spec, ranks, clusters) / layout.RESULT, Searched)
        if searched is None:
            return None
        made = audit.indexed(made, searched)
    made = audit.exposed(made, found.exposure, beside.metrics)
    out = output_directory(made, checkpoint)
    entry = Registry(spec.workspace).get(checkpoint.digest)
    asked = spec.asked(corpus.fingerprint())
    is_known = entry is not None and any((one.asked, one.out) == (asked, out) for one in entry.audits)
    return out if is_known and audit.is_there(made, out) else None
