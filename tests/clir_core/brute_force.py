"""Every rank, top list and metric of a small corpus, written from the definitions: plain Python over explicit pools.

Shares no code with the library but the corpus schemas and the hash bucket. Vectors hold small integers, so that every
score is exact in float32 and many are equal. Ranks are counted, lists are sorted: a test holds them against each other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from math import comb, log2, sqrt

import pyarrow as pa

from clir_core.corpus.tables import DOCUMENTS, QRELS, QUERIES, Corpus
from clir_core.scenarios.pool import bucket_of

Row = dict[str, object]
Values = dict[str, float | None]
Key = tuple[str, str | None, str | None, str]  # scenario, query_lang, lang, query_id


@dataclass(frozen=True)
class Text:
    """A document or a query; group 'x' of documents and of queries have nothing to do with each other."""

    id: str
    group: str
    lang: str


@dataclass(frozen=True)
class Qrel:
    query: str
    grade: int = 1
    group: str | None = None
    doc: str | None = None


@dataclass(frozen=True)
class Pool:
    """A scenario for one query language; `inside` says whether a document is in a query's pool, given it is related."""

    scenario: str
    query_lang: str
    lang: str | None
    gold_langs: tuple[str, ...]
    inside: Callable[[Text, bool], bool]
    share: float | None = None


@dataclass(frozen=True)
class Case:
    """A corpus with vectors, and what an audit is asked. `vectors` are by id, of documents and of queries."""

    languages: tuple[str, ...]
    docs: tuple[Text, ...]
    queries: tuple[Text, ...]
    qrels: tuple[Qrel, ...]
    vectors: dict[str, tuple[int, ...]]
    cutoff: int = 3
    seed: int = 0

    def corpus(self) -> Corpus:
        docs = [{"doc_id": d.id, "group_id": d.group, "lang": d.lang, "text": "t", "title": None} for d in self.docs]
        queries = [{"query_id": q.id, "group_id": q.group, "lang": q.lang, "text": "t"} for q in self.queries]
        qrels = [{"query_id": r.query, "group_id": r.group, "doc_id": r.doc, "grade": r.grade} for r in self.qrels]
        rows = ((docs, DOCUMENTS), (queries, QUERIES), (qrels, QRELS))
        return Corpus("case", *(pa.Table.from_pylist(part, schema=schema) for part, schema in rows))

    @cached_property
    def audited(self) -> list[Text]:
        """Documents of the audit's languages, each language's in the order that breaks its ties."""
        docs = [doc for doc in self.docs if doc.lang in self.languages]
        return sorted(docs, key=lambda d: (bucket_of(d.group, self.seed), d.id))

    def in_tie_order(self, query: Text, docs: Sequence[Text]) -> list[Text]:
        """Documents as they stand where all score the same: a language after the other, by a hash."""
        order = [doc.id for doc in self.audited]
        return sorted(docs, key=lambda d: (sha256(f"{query.group}\0{d.lang}".encode()).digest(), order.index(d.id)))

    @cached_property
    def asked(self) -> list[Text]:
        """Queries of the audit's languages that have a gold there."""
        return [query for query in self.queries if query.lang in self.languages and self.golds[query.id]]

    @cached_property
    def golds(self) -> dict[str, dict[str, int]]:
        """For each query the best grade of every relevant document, by ids."""
        best: dict[str, dict[str, int]] = {query.id: {} for query in self.queries}
        for qrel in self.qrels:
            for doc in self.audited:
                hit = doc.group == qrel.group if qrel.doc is None else doc.id == qrel.doc
                if hit and qrel.grade > 0:
                    best[qrel.query][doc.id] = max(qrel.grade, best[qrel.query].get(doc.id, 0))
        return best

    def is_out(self, query: Text, doc: Text) -> bool:
        """Whether a document is the query itself, or a translation of that; what is relevant is not."""
        golds = {gold.group for gold in self.audited if gold.id in self.golds[query.id]}
        own = {mine.group for mine in self.docs if mine.id == query.id}
        is_own = doc.id == query.id or (doc.group in own and doc.group not in golds)
        return is_own and doc.id not in self.golds[query.id]

    def score(self, query: Text, doc: Text) -> int:
        return sum(a * b for a, b in zip(self.vectors[query.id], self.vectors[doc.id], strict=True))

    @cached_property
    def pools(self) -> list[Pool]:
        return [
            pool for name in ("mono", "cross", "multi", "distractor", "share", "nway") for pool in self._pools(name)
        ]

    def _pools(self, name: str) -> Iterator[Pool]:
        if name == "mono":
            yield Pool("mono", "en", "en", ("en",), lambda doc, related: doc.lang == "en")
        if name == "nway":
            for lang in self.languages:
                yield Pool("nway", lang, None, self.languages, lambda doc, related: True)
            return
        for x in self.languages[1:]:

            def is_x(doc: Text, related: bool, x: str = x) -> bool:
                return doc.lang == x

            def is_either(doc: Text, related: bool, x: str = x) -> bool:
                return doc.lang in ("en", x)

            if name == "mono":
                yield Pool("mono", x, x, (x,), is_x)
            elif name == "cross":
                yield Pool("cross", x, x, ("en",), lambda doc, related: doc.lang == "en")
                yield Pool("cross", "en", x, (x,), is_x)
            elif name == "multi":
                yield Pool("multi", x, x, ("en", x), is_either)
                yield Pool("multi", "en", x, ("en", x), is_either)
            elif name == "distractor":
                yield Pool(
                    "distractor",
                    x,
                    x,
                    (x,),
                    lambda doc, related, x=x: doc.lang == x or (doc.lang == "en" and not related),
                )
            else:
                for tenths in range(10):
                    yield Pool(f"share(0.{tenths})", x, x, (x,), self._share(x, tenths), tenths / 10)

    def _share(self, x: str, tenths: int) -> Callable[[Text, bool], bool]:
        def inside(doc: Text, related: bool) -> bool:
            if doc.lang == "en":
                return not related and bucket_of(doc.group, self.seed) < tenths
            return doc.lang == x and (related or bucket_of(doc.group, self.seed) >= tenths)

        return inside


@dataclass(frozen=True)
class Answer:
    """What one query finds in one pool: its golds' ranks and the whole pool, best first."""

    pool: Pool
    query: Text
    golds: list[Row]
    listed: list[Row]

    @property
    def key(self) -> Key:
        return (self.pool.scenario, self.pool.query_lang, self.pool.lang, self.query.id)


def answers(case: Case) -> tuple[list[Answer], dict[tuple[str, str, str | None], list[str]]]:
    """Every query in every pool that it can be asked in, and the queries that each pool skips."""
    found, skipped = [], {}
    for pool in case.pools:
        for query in (query for query in case.asked if query.lang == pool.query_lang):
            if can_ask(case, pool, query):
                found.append(answer(case, pool, query))
            else:
                skipped.setdefault((pool.scenario, pool.query_lang, pool.lang), []).append(query.id)
    return found, skipped


def can_ask(case: Case, pool: Pool, query: Text) -> bool:
    golds = [doc for doc in case.audited if doc.id in case.golds[query.id]]
    if len(pool.gold_langs) == 1:
        return any(doc.lang in pool.gold_langs for doc in golds)
    groups = {doc.group for doc in golds}
    return all({doc.lang for doc in golds if doc.group == group} >= set(pool.gold_langs) for group in groups)


def answer(case: Case, pool: Pool, query: Text) -> Answer:
    grades = case.golds[query.id]
    groups = {doc.group for doc in case.audited if doc.id in grades}
    docs = [doc for doc in case.audited if pool.inside(doc, doc.group in groups) and not case.is_out(query, doc)]
    score = {doc.id: case.score(query, doc) for doc in docs}
    related = [doc for doc in docs if doc.group in groups]
    unrelated = [doc for doc in docs if doc.group not in groups]
    golds = [doc for doc in related if doc.id in grades and doc.lang in pool.gold_langs]
    others = [doc for doc in docs if doc not in golds]
    tied = case.in_tie_order(query, golds)
    rows = [
        {
            "query_id": query.id,
            "doc_id": gold.id,
            "gold_lang": gold.lang,
            "group_id": gold.group,
            "grade": grades[gold.id],
            "rank": 1
            + sum(score[doc.id] >= score[gold.id] for doc in others)
            + sum(score[doc.id] > score[gold.id] for doc in golds)
            + sum(score[doc.id] == score[gold.id] for doc in tied[: tied.index(gold)]),
            "score": float(score[gold.id]),
            "ties": sum(score[doc.id] == score[gold.id] for doc in unrelated),
            "n_golds": len(golds),
            "pool_size": len(docs),
            "pool_en": sum(doc.lang == "en" for doc in docs),
            "unrelated": len(unrelated),
            "unrelated_en": sum(doc.lang == "en" for doc in unrelated),
        }
        | {
            f"outranking_{lang}": sum(score[doc.id] >= score[gold.id] for doc in unrelated if doc.lang == lang)
            for lang in case.languages
        }
        for gold in golds
    ]
    # sorted is stable: equals keep the tie order
    order = sorted(
        case.in_tie_order(query, docs), key=lambda doc: (-score[doc.id], doc.group in groups, doc.id in grades)
    )
    relation = {doc.id: "gold" if doc.id in grades else "translation" for doc in related}
    listed = [
        {
            "query_id": query.id,
            "position": at + 1,
            "doc_id": doc.id,
            "doc_lang": doc.lang,
            "score": float(score[doc.id]),
            "relation": relation.get(doc.id, "unrelated"),
        }
        for at, doc in enumerate(order)
    ]
    return Answer(pool, query, rows, listed)


def metrics(case: Case, found: list[Answer], cutoffs: tuple[int, ...]) -> dict[Key, Values]:
    """Every metric of every query in every pool, None where it is not defined."""
    table = {one.key: _single(one, cutoffs) for one in found}
    return table | dict(_paired(case, found, table, cutoffs))


def _single(one: Answer, cutoffs: tuple[int, ...]) -> Values:
    values = standard(one.golds, cutoffs)
    if one.pool.scenario in ("multi", "nway"):
        values |= _of_versions(one, cutoffs)
    if one.pool.scenario == "distractor":
        values["inclination_rate"] = float(min(gold["outranking_en"] for gold in one.golds) >= 1)
        values["inclination_rate(neutral)"] = min(any_english(gold) for gold in one.golds)
    if one.pool.scenario in ("multi", "distractor"):
        values["pull(x)"] = pull([gold for gold in one.golds if gold["gold_lang"] != "en"])
        values["inclination"] = inclination(one.golds)
        first = one.listed[0]
        for name, is_lang in (("en", first["doc_lang"] == "en"), ("x", first["doc_lang"] != "en")):
            values[f"unrelated_first({name})"] = float(first["relation"] == "unrelated" and is_lang)
    if one.pool.scenario == "multi":
        values["pull(en)"] = pull([gold for gold in one.golds if gold["gold_lang"] == "en"])
    if one.pool.scenario in ("multi", "distractor", "nway"):
        for k in cutoffs:
            head = [row["doc_lang"] == "en" for row in one.listed[:k]]
            in_pool = [row["doc_lang"] == "en" for row in one.listed]
            values[f"english_share@{k}"] = sum(head) / len(head) - sum(in_pool) / len(in_pool)
    return values


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def standard(golds: list[Row], cutoffs: tuple[int, ...]) -> Values:
    """The paper's metrics and trec_eval's, from the golds' ranks."""
    ranks, size = [gold["rank"] for gold in golds], golds[0]["pool_size"]
    worst, best = max(ranks), min(ranks)
    values: Values = {"max_at_r": worst, "mrr": 1 / best, "acc@1": float(best == 1), "max_at_r_norm": 100.0}
    if size != len(golds):
        values["max_at_r_norm"] = 100 * (log2(size) - log2(worst)) / (log2(size) - log2(len(golds)))
    for k in cutoffs:
        ideal = sorted((gold["grade"] for gold in golds), reverse=True)[:k]
        reached = sum(gold["grade"] / log2(1 + gold["rank"]) for gold in golds if gold["rank"] <= k)
        values[f"ndcg@{k}"] = reached / sum(grade / log2(2 + i) for i, grade in enumerate(ideal))
        values[f"recall@{k}"] = sum(rank <= k for rank in ranks) / len(ranks)
        values[f"complete@{k}"] = float(worst <= k) if len(golds) <= k else None
    return values


def _of_versions(one: Answer, cutoffs: tuple[int, ...]) -> Values:
    others = [gold for gold in one.golds if gold["gold_lang"] != one.query.lang]
    own = {gold["group_id"]: gold for gold in one.golds if gold["gold_lang"] == one.query.lang}
    pairs = [(own[gold["group_id"]]["rank"], gold["rank"]) for gold in others]
    scores = [(own[gold["group_id"]]["score"], gold["score"]) for gold in others]
    values: Values = {f"tlr@{k}": _mean([gold["rank"] <= k for gold in others]) for k in cutoffs}
    values["lpr"] = _mean([1 if mine > other else 0.5 if mine == other else 0 for mine, other in scores])
    if one.pool.scenario == "multi":
        values["rank_distance"] = _mean([abs(mine - other) for mine, other in pairs])
    first = one.listed[0]
    meaning = "wrong" if first["relation"] == "unrelated" else "right"
    lang = "query" if first["doc_lang"] == one.query.lang else "other"
    cells = [(a, b) for a in ("right", "wrong") for b in ("query", "other")]
    return values | {f"quadrant({a},{b})": float((a, b) == (meaning, lang)) for a, b in cells}


def pull(golds: list[Row]) -> float | None:
    """English's share of what outranks these golds, beyond its share of the pool."""
    english = sum(gold["outranking_en"] for gold in golds)
    everything = sum(count for gold in golds for name, count in gold.items() if name.startswith("outranking_"))
    return english / everything - golds[0]["unrelated_en"] / golds[0]["unrelated"] if everything else None


def errors(gold: Row) -> int:
    """Unrelated documents above it, in any language."""
    return sum(count for name, count in gold.items() if name.startswith("outranking_"))


def chances(gold: Row) -> list[float]:
    """Of so many unrelated documents drawn blindly, how likely each number of English ones is, from none on."""
    drawn, english, everything = errors(gold), gold["unrelated_en"], gold["unrelated"]
    return [
        comb(english, k) * comb(everything - english, drawn - k) / comb(everything, drawn) for k in range(drawn + 1)
    ]


def any_english(gold: Row) -> float:
    return 1 - chances(gold)[0]


def lean(gold: Row) -> float:
    """How much likelier fewer English ones would have been than more."""
    k, likely = gold["outranking_en"], chances(gold)
    return sum(likely[:k]) - sum(likely[k + 1 :])


def inclination(golds: list[Row]) -> float:
    """The lean of the version that comes later; each version's best gold."""
    sides = [[gold for gold in golds if (gold["gold_lang"] == "en") == english] for english in (False, True)]
    best = [min(side, key=lambda gold: gold["rank"]) for side in sides if side]
    return lean(max(best, key=lambda gold: gold["rank"]))


def _paired(
    case: Case, found: list[Answer], table: dict[Key, Values], cutoffs: tuple[int, ...]
) -> Iterator[tuple[Key, Values]]:
    multi = [one for one in found if one.pool.scenario == "multi"]
    for other in multi:
        for english in multi:
            same = (english.pool.lang, english.query.group) == (other.pool.lang, other.query.group)
            if same and english.query.lang == "en" and other.query.lang != "en":
                names = standard(other.golds, cutoffs)
                gaps: Values = {
                    f"language_gap({name})": _minus(table[english.key][name], table[other.key][name]) for name in names
                }
                for k in cutoffs:
                    lists = ([row["doc_id"] for row in one.listed[:k]] for one in (english, other))
                    gaps[f"mrc@{k}"] = list_correlation(*lists, k)
                yield ("multi", None, other.pool.lang, other.query.id), gaps


def list_correlation(first: list[str], second: list[str], k: int) -> float:
    """Spearman over the union of two lists; what a list lacks has rank k + 1."""
    if first == second:
        return 1.0
    union = sorted({*first, *second})
    a, b = ([listed.index(doc) + 1 if doc in listed else k + 1 for doc in union] for listed in (first, second))
    return pearson(average_ranks(a), average_ranks(b))


def average_ranks(values: list[int]) -> list[float]:
    """1 for the smallest; equal values share the mean of their places."""
    return [sum(w < v for w in values) + (1 + sum(w == v for w in values)) / 2 for v in values]


def pearson(a: list[float], b: list[float]) -> float:
    da, db = ([v - _mean(part) for v in part] for part in (a, b))
    return sum(x * y for x, y in zip(da, db, strict=True)) / sqrt(sum(x * x for x in da) * sum(y * y for y in db))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
