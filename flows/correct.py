"""The flow `correct`: a table of vectors that serves, corrected beside itself, audited before and after."""

from prefect import flow

from clir_core.correct.table_spec import CorrectSpec, CorrectSummary
from clir_core.runs import correct as run
from tasks.artifacts import publish, publish_correction
from tasks.events import announce, who
from tasks.runner import PrefectRunner


@flow(name="correct", persist_result=False)
def correct(spec: CorrectSpec = CorrectSpec()) -> CorrectSummary:  # noqa: B008  frozen: one default is as good as many
    """Take the language out of vectors that serve, without embedding anything, and say what queries have to do."""
    found = run.correct(spec, PrefectRunner(), who())
    for audited in filter(None, (found.before, found.after)):
        announce(audited.entry, audited.news)
        publish(audited.result, audited.out)
    publish_correction(found)
    return CorrectSummary(out=found.out, vectors=found.vectors, needs_language=found.queries.needs_language)


if __name__ == "__main__":
    from flows.cli import main

    main(["correct"])
