"""The flow `embed`: a corpus's vectors into LanceDB, ahead of the audits that will rank them."""

from prefect import flow

from clir_core.audit.result import Embedded
from clir_core.audit.spec import AuditSpec, EmbedSpec
from clir_core.jobs.cluster import cluster_for
from tasks import audit as steps


@flow(name="embed", persist_result=False)
def embed(spec: EmbedSpec = EmbedSpec()) -> Embedded:  # noqa: B008  frozen: one default is as good as many
    """Encode what LanceDB lacks of a corpus's documents and queries. An audit of the same checkpoint finds it there."""
    asked = AuditSpec.model_validate(spec.model_dump())
    corpus, _ = steps.read(asked)
    with cluster_for(spec.runtime):
        checkpoint = steps.resolve_model(asked)
        with steps.unchanged(checkpoint, spec.workspace):
            embedded, _ = steps.embed(asked, corpus, checkpoint)
    return embedded


if __name__ == "__main__":
    from flows.cli import main

    main(["embed"])
