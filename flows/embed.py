"""The flow `embed`: a corpus's vectors into LanceDB, ahead of the audits that will rank them."""

from prefect import flow

from clir_core.audit.result import Embedded
from clir_core.audit.spec import EmbedSpec
from clir_core.jobs.workers import ray_workers
from clir_core.runs import audit as run
from tasks.runner import PrefectRunner


@flow(name="embed", persist_result=False)
def embed(spec: EmbedSpec = EmbedSpec()) -> Embedded:  # noqa: B008  frozen: one default is as good as many
    """Encode what LanceDB lacks of a corpus's documents and queries. An audit of the same checkpoint finds it there."""
    runner = PrefectRunner()
    with ray_workers(spec.runtime, runner.say) as workers:
        return run.embed_only(spec, workers, runner)


if __name__ == "__main__":
    from flows.cli import main

    main(["embed"])
