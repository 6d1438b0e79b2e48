"""The flow `compare`: two checkpoints that were audited with the same questions, paired per query."""

from prefect import flow

from clir_core.registry.compare_spec import CompareSpec
from clir_core.registry.comparison import Compared
from tasks import compare as steps


@flow(name="compare", persist_result=False)
def compare(spec: CompareSpec = CompareSpec()) -> Compared:  # noqa: B008  frozen: one default is as good as many
    """Say what became better or worse beyond chance between two checkpoints, and what a gate would decide."""
    return steps.compare(spec)


if __name__ == "__main__":
    from flows.cli import main

    main(["compare"])
