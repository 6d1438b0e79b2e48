"""The audits of an alignment run: the same questions before and after, and at the cutoffs that the gate asks for."""

from collections.abc import Sequence

from clir_core.align.spec import AlignSpec
from clir_core.audit.spec import AuditSpec

CUTOFF = 10  # of the monolingual ndcg, which every gate looks at


def audit_spec(spec: AlignSpec, model: str, seen: Sequence[str] = ()) -> AuditSpec:
    """What to ask of a checkpoint: every language of the evaluation corpus, so that untrained ones show as well.

    In pools without what was `seen`. Where that stands in none, it is not named: the nightly asks the same then.
    """
    cutoff = spec.gate.metric.rpartition("@")[2]
    asked = {int(cutoff)} if cutoff.isdecimal() and spec.gate.metric != "acc@1" else set()
    return AuditSpec(
        model=model,
        corpus=spec.evaluation,
        columns=spec.columns,
        titles=spec.titles,
        parallel=spec.parallel,
        cutoffs=(CUTOFF, *sorted(asked - {CUTOFF})),
        seen=tuple(seen),
        seed=spec.seed,
        encoding=spec.encoding,
        runtime=spec.runtime,
        workspace=spec.workspace,
    )
