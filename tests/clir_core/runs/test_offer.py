"""What a night offers for a checkpoint that regressed: a correction tried in equal pools, and its family's own data."""

import json
from pathlib import Path
from typing import Any

import pytest

from clir_core.align.spec import AlignSpec
from clir_core.audit.spec import AuditSpec
from clir_core.errors import SpecError
from clir_core.registry.facts import Entry, Found
from clir_core.registry.nightly import Due
from clir_core.registry.watch import WatchList
from clir_core.runs.audit import Finished, audit
from clir_core.runs.here import Here
from clir_core.runs.offer import check, told, training, tried
from clir_core.runs.runner import Runner

OFFER = {"correction": "mean+hub", "correction_fit": "demo#train", "correction_k": 3}
DATA = {"train": "demo#train", "evaluation": "demo#test", "head_texts": ["demo#train"], "loss": "none"}


def watch_list(audit: dict[str, Any] | None = None, **family: Any) -> WatchList:
    families = [{"name": "e5", "sources": [{"kind": "aligned"}], **family}]
    return WatchList.model_validate(
        {"version": 1, "audit": {"corpus": "demo#test", **(audit or {})}, "families": families}
    )


def entry(family: str) -> Entry:
    found = Found(checkpoint="c" * 64, name="tuned", ref="/models/tuned", family=family, source="incoming")
    return Entry(found=found, since=found.at, audits=(), history=())


def test_it_is_trained_with_the_data_of_its_family() -> None:
    watch = watch_list(finetune=DATA)
    check(watch)
    asked = json.loads(training(watch, entry("e5")))
    assert asked == {"base": "/models/tuned", **DATA} and AlignSpec.model_validate(asked).head_texts == ("demo#train",)
    # of a family without any, and of one that is watched no more, with the demo's
    for family in ("e5", "gone"):
        assert json.loads(training(watch_list(), entry(family))) == {"base": "/models/tuned"}


@pytest.mark.parametrize(
    ("family", "audit", "words"),
    [
        ({"finetune": {"trian": "demo"}}, {}, r"families\.0\.finetune\.trian: Extra inputs .* those of `clir align"),
        ({"finetune": {"loss": "none", "head": False}}, {}, "families.0.finetune: .*nothing to learn"),
        ({"offer": OFFER}, {"correction": "lir"}, "families.0.offer: the audits are corrected by lir already"),
        ({"offer": {"correction": "mean"}}, {"corpus": "demo"}, "set correction_fit to a training corpus"),
    ],
)
def test_what_could_not_be_done_at_night_is_said_before(family: Any, audit: Any, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        check(watch_list(audit, **family))


def test_what_the_run_says_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="base, out: the run that trains says so itself"):
        watch_list(finetune={"base": "x", "out": "y"})


def test_a_correction_is_tried_in_the_pools_of_the_audit_that_it_is_held_against(
    tiny_model: Path, tmp_path: Path
) -> None:
    watch = watch_list({"languages": ["de", "zh"]}, offer=OFFER)
    check(watch)
    asked = watch.audit.model_copy(update={"model": str(tiny_model), "workspace": tmp_path})
    due = Due(checkpoint="c" * 64, name="tuned", baseline=None, audit=asked)
    assert tried(watch_list(), due, "e5") == ()
    plain, corrected = tried(watch, due, "e5")
    assert plain.correction is None and plain.seen == ("demo#train",)
    assert corrected == AuditSpec.model_validate({**asked.model_dump(), **OFFER, "seen": ("demo#train",)})
    before, after = (run(spec) for spec in (plain, corrected))
    assert [pool.sizes for pool in before.result.pools] == [pool.sizes for pool in after.result.pools]
    said = told(watch, "mean+hub", before.out, after.out)
    assert said.startswith("Offered at once, without training: correction mean+hub. ") and "omplete@10" in said


def run(spec: AuditSpec) -> Finished:
    return audit(spec, Here(), Runner())
