"""The steps of the nightly run as Prefect tasks; its audits are the flow `audit`."""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import State

from clir_core.audit.result import AuditSummary
from clir_core.audit.spec import AuditSpec
from clir_core.errors import ClirError
from clir_core.registry.discovery import Discovered
from clir_core.registry.facts import Entry
from clir_core.registry.history import of_family
from clir_core.registry.nightly import Due, Judged, NightlySpec, NightlySummary, as_markdown
from clir_core.registry.registry import Registry
from clir_core.registry.watch import WatchList
from clir_core.runs import nightly, offer
from clir_core.spec import slug
from tasks.events import tell, who
from tasks.step import step


@step("read watch list")
def read(spec: NightlySpec) -> tuple[WatchList, str]:
    """The watch list, and the fingerprint of what it asks every checkpoint."""
    watch, corpus = nightly.read_night(spec)
    get_run_logger().info(
        "%s: %d families, audited on %s in %s",
        spec.watch,
        len(watch.families),
        corpus.name,
        ", ".join(corpus.languages),
    )
    return watch, watch.audit.asked(corpus.fingerprint())


@step("find checkpoints")
def find(spec: NightlySpec, watch: WatchList, asked: str) -> tuple[Discovered, tuple[Due, ...], int]:
    """Look at every source, register what is new, and say which audits are due and how many are known."""
    logger = get_run_logger()
    discovered, due, known = nightly.find_due(spec, watch, asked)
    for waits in discovered.waiting:
        logger.info("not yet: %s: %s", waits.place, waits.reason)
    for problem in discovered.problems:
        logger.error("%s: %s", problem.place, problem.reason)
    logger.info("%d audits are due, those of %d checkpoints are known", len(due), known)
    return discovered, due, known


def failure(state: State[Any]) -> str:
    """Why an audit did not complete; empty where it did."""
    if state.is_completed():
        return ""
    error = state.result(raise_on_failure=False)
    return str(error) if isinstance(error, ClirError) else str(state.message or error)


@step("judge")
def judge(spec: NightlySpec, watch: WatchList, due: Due, asked: str, failed: str) -> Judged:
    """Hold a finished audit against its baseline's, register what that says, and emit the events."""
    entry, fact, is_news = nightly.judge(spec, watch, due, asked, failed, who())
    if is_news and (fact.outcome == "regressed" or fact.outcome == "improved"):
        tell(fact.outcome, entry, fact, finetune=offer.training(watch, entry))
    level = logging.ERROR if fact.outcome == "failed" else logging.INFO
    get_run_logger().log(level, "%s: %s. %s", entry.name, fact.outcome, fact.reason or fact.verdict)
    return nightly.judged(entry, fact)


def tried(watch: WatchList, due: Due, judged: Judged) -> tuple[AuditSpec, ...]:
    """The audits that tell what a correction would make of a checkpoint that regressed."""
    return offer.tried(watch, due, judged.family) if judged.outcome == "regressed" else ()


def ended(state: State[AuditSummary]) -> Path | str:
    """Where the result of an audit is, or why there is none."""
    return failure(state) or state.result().out


@step("offer")
def offered(watch: WatchList, judged: Judged, tried: Sequence[Path | str]) -> Judged:
    """The same, with what a correction would make of it: `tried` are its audits, before and after."""
    correction = next(str(one.offer.correction) for one in watch.families if one.name == judged.family)
    outs = [one for one in tried if isinstance(one, Path)]
    why = "; ".join(one for one in tried if isinstance(one, str))
    try:
        said = "" if why else offer.told(watch, correction, *outs)
    except ClirError as error:  # a night ends for no offer
        why = str(error)
    said = f"Correction {correction} could not be tried: {why}" if why else said
    get_run_logger().info("%s: %s", judged.name, said)
    return judged.model_copy(update={"offer": said})


@step("publish")
def publish(
    spec: NightlySpec, watch: WatchList, asked: str, discovered: Discovered, now: Sequence[Judged], known: int
) -> NightlySummary:
    """One summary of the night, and every family's history; NightlyError where something failed."""
    entries = Registry(spec.workspace).entries()
    before = judged_before(entries, asked, {one.checkpoint for one in now})
    summary = NightlySummary(
        judged=(*before, *now),
        known=known - len(before),
        waiting=discovered.waiting,
        problems=discovered.problems,
    )
    create_markdown_artifact(as_markdown(summary), key="nightly", description=f"The night's audits of {spec.watch}")
    for family in watch.families:
        history = of_family(entries, family.name)
        key = f"history-{slug(family.name)}"
        create_markdown_artifact(history.as_markdown(), key=key, description=f"{family.name}: its checkpoints")
        create_table_artifact(history.rows(), key=f"{key}-table", description=f"{family.name}: its checkpoints")
    nightly.check_night(summary)
    return summary


def judged_before(entries: Sequence[Entry], asked: str, now: Collection[str]) -> list[Judged]:
    """What this run judged before Prefect started it again, without what it has judged `now`."""
    return nightly.judged_before(entries, asked, now, who()) if flow_run.run_count > 1 else []
