"""What can be said of an alignment run before anything is computed: whether its data has what its loss reads."""

import polars as pl
import pyarrow as pa

from clir_core.align.data import check_enough
from clir_core.align.spec import AlignSpec
from clir_core.align.train.held_out import hold_out
from clir_core.align.train.objective import needs
from clir_core.errors import AlignError


def check_triples(triples: pa.Table, spec: AlignSpec) -> None:
    """AlignError where a batch cannot be filled, or a side that the loss needs is missing in a whole language."""
    batch = spec.optimiser.batch
    check_enough(triples, batch)
    table = pl.DataFrame(pl.from_arrow(triples))
    left = len(hold_out(table, spec.held_out, spec.seed)[0])
    if left < batch:
        raise AlignError(
            f"{spec.train}: {left} of {len(table)} triples are left beside those held out, fewer than a batch of "
            f"{batch}; add triples, or lower optimiser.batch or held_out"
        )
    for side in sorted(needs(spec.loss).required):
        # rows that lack a side are left out of the terms that need it
        without = table.group_by("lang").agg(pl.col(side).is_null().all()).filter(pl.col(side))["lang"].sort().to_list()
        if without:
            terms = ", ".join(spec.loss.weights())
            raise AlignError(
                f"{spec.train}: no triple in {', '.join(without)} has a {side}, which the loss ({terms}) needs; train "
                "on data with it, leave these languages out, or choose another loss"
            )
