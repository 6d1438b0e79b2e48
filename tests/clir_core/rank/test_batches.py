"""Batches cover the pools in their order within their size, and what cannot fit is refused with the way out."""

from itertools import chain

import pytest
from brute_force import Case, Qrel
from pools_case import make_case, measure, parallel

from clir_core.errors import SpecError
from clir_core.rank import batches, plan
from clir_core.rank.batches import check_fits
from clir_core.rank.plan import Plan, make_plan
from clir_core.scenarios import SCENARIOS
from clir_core.workspace import memory

LANGS = ("en", "de", "hi", "zh")


def case(n: int = 40) -> Case:
    queries = parallel(LANGS, n, "q")
    return make_case(parallel(LANGS, n), queries, [Qrel(query.id, 1, query.group) for query in queries])


def planned() -> Plan:
    return make_plan(case().corpus(), LANGS, SCENARIOS, 3, 0)


@pytest.mark.parametrize("size", [1, 20_000, 60_000, 2**30])
def test_batches_are_the_pools_in_their_order_and_as_large_as_allowed(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_BYTES", size)
    monkeypatch.setattr(batches, "CHUNK_BYTES", 1)
    made = planned()
    found = list(batches.batches(made))
    assert tuple(chain(*chain(*found))) == made.pools
    assert (len(found) == 1) == (size == 2**30)
    assert all(len(batch) == 1 for batch in found) == (size == 1)


def test_pools_that_metrics_compare_are_written_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CHUNK_BYTES", 1)
    multi = [chunk for chunk in batches.chunks(planned()) if chunk[0].scenario == "multi"]
    assert [[(pool.query_lang, pool.lang) for pool in chunk] for chunk in multi] == [
        [(lang, lang), ("en", lang)] for lang in LANGS[1:]
    ]


def test_counts_are_kept_by_bucket_only_where_a_pool_asks_for_some_buckets() -> None:
    asked = planned().asked
    by_bucket = {pair for pair, one in asked.items() if one.n_buckets == 10}
    assert by_bucket == {(lang, doc_lang) for lang in LANGS[1:] for doc_lang in ("en", lang)}
    assert len(asked) == 16 and {one.n_buckets for one in asked.values()} == {1, 10}


def test_what_cannot_fit_is_refused_with_both_figures_and_what_to_leave_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CHUNK_BYTES", 1)
    made = planned()
    needs = {chunk[0].scenario: batches._need(made, chunk) for chunk in batches.chunks(made)}
    # so few languages need the most where English and X are both asked
    assert max(needs, key=needs.__getitem__) == "multi"
    free = needs["multi"] - 1
    monkeypatch.setattr(memory, "available", lambda: free)
    monkeypatch.setattr(plan, "check_room", lambda *_: None)  # the plan itself is there
    with pytest.raises(SpecError, match=r"needs about .* GiB .* GiB are available; leave multi out of `scenarios`"):
        check_fits(made)
    check_fits(made.part([pool for pool in made.pools if pool.scenario != "multi"]))
    with pytest.raises(SpecError, match="leave multi out"):
        measure(case())
    monkeypatch.setattr(memory, "available", lambda: 0)
    with pytest.raises(SpecError, match="are available; audit fewer `languages`"):
        check_fits(made)


def test_a_plan_that_cannot_fit_is_not_even_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 100)
    with pytest.raises(SpecError, match="a plan of 640 related documents needs about"):
        planned()  # 40 queries in 4 languages, each with 4 versions of its gold
