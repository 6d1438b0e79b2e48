"""Random corpora with vectors, and the library's whole way from those to ranks."""

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from unittest.mock import patch

import numpy as np
import polars as pl
from brute_force import Case, Qrel, Text
from hypothesis import strategies as st

from clir_core.rank import batches, ranking
from clir_core.rank.forms import Vectors
from clir_core.rank.outrank import PairCounts
from clir_core.rank.plan import Block, Plan, make_plan
from clir_core.rank.ranked import Ranked
from clir_core.rank.ranking import Batch, rank_block, rank_plan
from clir_core.scenarios import SCENARIOS, ScenarioName
from clir_core.workspace import layout

LANGS = ("en", "de", "hi", "zh")


@dataclass(frozen=True)
class Measured:
    """What the library says of a case."""

    plan: Plan
    ranks: pl.DataFrame
    top: pl.DataFrame
    ranked: Ranked


def measure(
    case: Case,
    block: int = 8192,
    shuffle: int | None = None,
    scenarios: tuple[ScenarioName, ...] = SCENARIOS,
    batch: int = 2**30,
    form: Callable[[np.ndarray], Vectors] = lambda vectors: vectors,
) -> Measured:
    """The library's whole way from vectors to ranks: in blocks of this size, in an order shuffled by this seed, in
    batches of so many bytes. `form` makes of vectors what is ranked."""

    def vectors(ids: pl.Series) -> np.ndarray:
        dim = len(next(iter(case.vectors.values())))
        return np.array([case.vectors[one] for one in ids], np.float32).reshape(-1, dim)

    plan = make_plan(case.corpus(), case.languages, scenarios, case.cutoff, case.seed)
    docs = {lang: form(vectors(found.doc_id)) for lang, found in plan.documents.items()}
    queries = {lang: form(vectors(found.query_id)) for lang, found in plan.queries.items()}

    def read(lang: str, numbers: np.ndarray) -> Vectors:
        found = docs[lang]
        return found[numbers] if isinstance(found, np.ndarray) else found.take(numbers)

    def count(blocks: Sequence[Block], batch: Batch) -> Iterator[PairCounts]:
        blocks = blocks if shuffle is None else random.Random(shuffle).sample(blocks, len(blocks))
        return (rank_block(one, read(one.lang, np.arange(one.start, one.stop)), batch) for one in blocks)

    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(ranking, "BLOCK_DOCUMENTS", block),
        patch.object(batches, "BATCH_BYTES", batch),
    ):
        ranked = rank_plan(plan, queries, read, count, Path(folder), lambda done, todo: None)
        ranks, top = (pl.read_parquet(Path(folder) / name) for name in (layout.RANKS, layout.TOP))
    return Measured(plan, ranks, top, ranked)


def asked(case: Case) -> pl.DataFrame:
    """The case's queries, those of a group in a cluster of their own."""
    queries = pl.DataFrame(pl.from_arrow(case.corpus().queries))
    return queries.with_columns(cluster=pl.col("group_id").rank("dense").cast(pl.Int32))


def make_case(
    docs: list[Text],
    queries: list[Text],
    qrels: list[Qrel],
    seed: int = 0,
    span: int = 2,
    dim: int = 4,
    cutoff: int = 3,
) -> Case:
    """A case with random integer vectors of -span to span: span 0 makes every score equal."""
    rng = random.Random(seed)
    vectors = {text.id: tuple(rng.randint(-span, span) for _ in range(dim)) for text in (*docs, *queries)}
    languages = tuple(lang for lang in LANGS if any(text.lang == lang for text in (*docs, *queries)) or lang == "en")
    return Case(languages, tuple(docs), tuple(queries), tuple(qrels), vectors, cutoff, seed % 3)


def parallel(langs: tuple[str, ...], n: int, prefix: str = "d") -> list[Text]:
    """n groups with a version in every language."""
    return [Text(f"{lang}/{prefix}{i}", f"g{i}", lang) for i in range(n) for lang in langs]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Small corpora of all sorts: missing translations, several golds, grades, single documents as golds, ties."""
    langs = LANGS[: draw(st.integers(2, 4))]
    some = st.one_of(st.just(frozenset(langs)), st.frozensets(st.sampled_from(langs), min_size=1))
    docs = [
        Text(f"{lang}/d{i}", f"g{i}", lang)
        for i, versions in enumerate(draw(st.lists(some, min_size=1, max_size=12)))
        for lang in langs
        if lang in versions
    ]
    queries = [
        Text(f"{lang}/q{i}", f"q{i}", lang)
        for i, versions in enumerate(draw(st.lists(some, min_size=1, max_size=3)))
        for lang in langs
        if lang in versions
    ]
    asked, found = st.sampled_from(queries), st.sampled_from(docs)
    grade = st.sampled_from([1, 1, 1, 2, 3, 0])
    qrels = draw(
        st.lists(
            st.one_of(
                st.builds(lambda q, d, g: [Qrel(q.id, g, group=d.group)], asked, found, grade),
                st.builds(lambda q, d, g: [Qrel(q.id, g, doc=d.id)], asked, found, grade),
                # all versions of a query point to one group, as in a parallel corpus
                st.builds(
                    lambda q, d, g: [Qrel(o.id, g, group=d.group) for o in queries if o.group == q.group],
                    asked,
                    found,
                    grade,
                ),
            ),
            min_size=1,
            max_size=8,
        )
    )
    first = Qrel(queries[0].id, 1, doc=docs[0].id)  # an audit has at least one query
    shape = {
        "seed": draw(st.integers(0, 999)),
        "span": draw(st.sampled_from([3, 2, 1, 0])),
        "dim": draw(st.integers(4, 8)),
    }
    case = make_case(docs, queries, [first, *chain(*qrels)], cutoff=draw(st.integers(1, 12)), **shape)
    return replace(case, languages=langs)
