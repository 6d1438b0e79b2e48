"""Pools in batches: the counts of a batch fit in memory, and its ranks are written before the next begins.

Where everything fits, everything is one batch and documents are read once. What never fits is refused with the figure.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from clir_core.rank.plan import Plan
from clir_core.scenarios import scenario_named
from clir_core.scenarios.pool import Pool
from clir_core.workspace import memory

BATCH_BYTES = 2**30
# of a chunk's frames, the ranks and the top lists
CHUNK_BYTES = 2**26
# of a row: names and ids are views of 16 bytes
RANK_BYTES, TOP_BYTES = 150, 120

Chunk = tuple[Pool, ...]


def chunks(plan: Plan) -> Iterator[Chunk]:
    """Consecutive pools that are written together, a row group of the files, whatever the batches."""
    found: list[Pool] = []
    size = 0
    # metrics compare the pools of a scenario and an X with one another
    for _, together in groupby(plan.pools, lambda pool: (pool.label, pool.lang or pool.query_lang)):
        pools = list(together)
        more = _frame_bytes(plan, pools)
        if found and size + more > CHUNK_BYTES:
            yield tuple(found)
            found, size = [], 0
        found += pools
        size += more
    yield tuple(found)


def batches(plan: Plan) -> Iterator[list[Chunk]]:
    """Consecutive chunks whose counts stay below BATCH_BYTES together; a chunk that alone has more is a batch."""
    found: list[Chunk] = []
    for chunk in chunks(plan):
        if found and _counts_bytes(plan, [pool for part in (*found, chunk) for pool in part]) > BATCH_BYTES:
            yield found
            found = []
        found = [*found, chunk]
    yield found


def check_fits(plan: Plan) -> None:
    """SpecError where ranking would need more memory than there is: how much, and what to leave out."""
    needs = [(chunk, _need(plan, chunk)) for chunk in chunks(plan)]
    free = memory.available()
    large = {pool.scenario for chunk, need in needs for pool in chunk if free is not None and need > free}
    names = dict.fromkeys(pool.scenario for pool in plan.pools)
    way_out = "audit fewer `languages`, or on a machine with more"
    if len(large) < len(names):
        way_out = f"leave {' and '.join(name for name in names if name in large)} out of `scenarios`, {way_out}"
    what = f"ranking for {sum(map(len, plan.queries.values())):,} queries in {len(plan.languages)} languages"
    memory.check_room(max(need for _, need in needs), what, way_out)


def _need(plan: Plan, chunk: Chunk) -> int:
    """Bytes that no batch can do without: counts, also of blocks under way; frames in parts, whole, and as Arrow."""
    return 2 * _counts_bytes(plan, chunk) + 3 * _frame_bytes(plan, chunk)


def _counts_bytes(plan: Plan, pools: Sequence[Pool]) -> int:
    """Bytes of the counts that these pools are derived from, and of their top lists."""
    total = 0
    for (query_lang, _), asked in plan.part(pools).asked.items():
        # two counts a bucket and one of near ties, all int32; a list's entry is 12 bytes, and 21 more when it is merged
        total += plan.count_golds(query_lang, asked.gold_langs) * (8 * asked.n_buckets + 4)
        total += len(plan.queries[query_lang]) * plan.depth * 33
    return total


def _frame_bytes(plan: Plan, pools: Sequence[Pool]) -> int:
    row = RANK_BYTES + 4 * len(plan.rank_languages)
    ranks = sum(plan.count_golds(pool.query_lang, pool.gold_langs) for pool in pools)
    listed = sum(len(plan.queries[pool.query_lang]) for pool in pools if scenario_named(pool.scenario).keeps_top)
    return row * ranks + TOP_BYTES * plan.cutoff * listed
