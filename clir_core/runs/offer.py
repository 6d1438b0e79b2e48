"""What is done about a checkpoint that regressed: a correction is tried at once, and its family's data train it."""

import json
from pathlib import Path

from pydantic import ValidationError

from clir_core.align.spec import AlignSpec
from clir_core.audit.spec import AuditSpec
from clir_core.correct.data import seen_by
from clir_core.correct.spec import Corrects
from clir_core.errors import SpecError
from clir_core.measure import gate
from clir_core.measure.compare import compare_audits
from clir_core.registry.facts import Entry
from clir_core.registry.nightly import Due
from clir_core.registry.watch import Family, WatchList


def check(watch: WatchList) -> None:
    """SpecError where a family's correction could not be fitted, or its training could not begin."""
    for at, family in enumerate(watch.families):
        try:
            AlignSpec.model_validate(family.finetune)
        except ValidationError as error:
            wrong = error.errors()[0]
            place = ".".join(map(str, ("families", at, "finetune", *wrong["loc"])))
            raise SpecError(f"{place}: {wrong['msg']}; its fields are those of `clir align --help`") from error
        if family.offer.correction and watch.audit.correction:
            raise SpecError(
                f"families.{at}.offer: the audits are corrected by {watch.audit.correction} already; leave one out"
            )
        seen_by(family.offer, watch.audit.corpus)


def training(watch: WatchList, entry: Entry) -> str:
    """As JSON, what `align` is asked to make of it: the data of its family, or the demo's."""
    family = _family(watch, entry.found.family)
    return json.dumps({"base": entry.found.ref, **(family.finetune if family else {})})


def tried(watch: WatchList, due: Due, family: str) -> tuple[AuditSpec, ...]:
    """Two audits, as it is and corrected, in pools without what the correction is fitted on; none without an offer."""
    found = _family(watch, family)
    if not found or not found.offer.correction:
        return ()
    seen = dict.fromkeys([*due.audit.seen, *(one.reference for one in seen_by(found.offer, due.audit.corpus))])
    fields = due.audit.model_dump()
    corrected = found.offer.model_dump(include={*Corrects.model_fields}, exclude_defaults=True)
    return (
        AuditSpec.model_validate({**fields, "seen": tuple(seen)}),
        AuditSpec.model_validate({**fields, **corrected, "seen": tuple(seen)}),  # else its pools could be others
    )


def told(watch: WatchList, correction: str, before: Path, after: Path) -> str:
    """What the correction makes of it, by the watch list's gate."""
    decision = gate.decide(compare_audits(before, after), watch.gate)
    return f"Offered at once, without training: correction {correction}. {decision.reason}"


def _family(watch: WatchList, name: str) -> Family | None:
    return next((family for family in watch.families if family.name == name), None)
