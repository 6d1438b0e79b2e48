"""A small audit made by hand: English, German, Arabic; two queries each; figures that are easy to find again."""

from datetime import UTC, datetime
from html.parser import HTMLParser

import polars as pl
import pyarrow as pa

from clir_core.audit.claim import Claim, ClaimName, Side
from clir_core.audit.result import AuditResult, MetricRow, Provenance, TableRead
from clir_core.audit.spec import AuditSpec
from clir_core.corpus.tables import DOCUMENTS, QRELS, QUERIES, Corpus, Skipped
from clir_core.scenarios import SCENARIOS, ScenarioName
from clir_core.scenarios.pool_info import PoolInfo

LANGS = ("en", "de", "ar")
TEXTS = {"en": "Bees dance <b>in the dark</b>.", "de": "Bienen tanzen im Dunkeln.", "ar": "يرقص النحل في الظلام."}
QUESTIONS = {"en": "Why do bees dance?", "de": "Warum tanzen Bienen?", "ar": "لماذا يرقص النحل؟"}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
VOID = {"meta", "br", "wbr", "img", "input", "link", "path", "use"}


def metric(scenario: str, query: str | None, lang: str | None, name: str, value: float, n: int = 2) -> MetricRow:
    return MetricRow(
        scenario=scenario, query_lang=query, lang=lang, metric=name,
        value=value, low=value - 0.011, high=value + 0.012, n=n, unit="rate",
    )  # fmt: skip


def metrics(langs: tuple[str, ...] = LANGS) -> list[MetricRow]:
    rows = [metric("mono", "en", "en", "acc@1", 0.931)]
    for lang in langs[1:]:
        rows += [
            metric("mono", lang, lang, "acc@1", 0.909),
            metric("cross", lang, lang, "acc@1", 0.839),
            metric("cross", "en", lang, "acc@1", 0.841),
            metric("multi", lang, lang, "complete@10", 0.019),
            metric("multi", lang, lang, "max_at_r", 186.94),
            metric("multi", lang, lang, "pull(x)", 0.044),
            metric("multi", lang, lang, "pull(en)", -0.412, n=1),
            metric("multi", lang, lang, "lpr", 0.9),
            metric("multi", "en", lang, "complete@10", 0.259),
            metric("multi", "en", lang, "max_at_r", 1053.2),
            metric("multi", "en", lang, "lpr", 0.8),
            metric("multi", None, lang, "language_gap(complete@10)", 0.24),
            metric("distractor", lang, lang, "inclination_rate", 0.071),
            *(metric(f"share({p / 10:.1f})", lang, lang, "acc@1", 0.9 - p / 50) for p in range(10)),
        ]
    return rows


def side(query_lang: str, size: float, claimed: bool = True, scenario: str = "multi") -> Side:
    """One query side; who wins follows from the sign of its size."""
    lean = ("en" if size > 0 else "x") if claimed else None
    return Side(
        query_lang=query_lang, scenario=scenario, size=size, low=size - 0.1, high=size + 0.1, n=72, clusters=72,
        p=0.001 if claimed else 0.4, lean=lean, english_first=0.3, x_first=0.1,
    )  # fmt: skip


def claim(lang: str, name: ClaimName = "english_inclination", *sides: Side, reason: str = "") -> Claim:
    """What is said of a language, with the figures of its telling side."""
    telling = max((one for one in sides if one.lean), key=lambda one: abs(one.size), default=None)
    figures = (
        telling.model_dump(include={"size", "low", "high", "n"}) | {"asked_in": telling.query_lang} if telling else {}
    )
    return Claim(language=lang, claim=name, reason=reason, sides=sides, **figures)


def result(
    scenarios: tuple[ScenarioName, ...] = SCENARIOS, langs: tuple[str, ...] = LANGS, **changes: object
) -> AuditResult:
    read = TableRead(uri="/tmp/store", table="documents-1", version=3, tag="audit-1")
    made = AuditResult(
        name="demo-1",
        spec=AuditSpec(corpus="xquad:/data/xquad", scenarios=scenarios),
        languages=langs,
        verdict=("The model favours nobody.", "German queries: fine."),
        provenance=Provenance(
            versions={"polars": "2.1.0"}, git_commit=None, model_fingerprint="ab" * 32, corpus_fingerprint="cd" * 32,
            documents_table=read, queries_table=read, ties=13, near_ties=238, gold_ties=46,
            timings={"embed": 2.5, "rank": 0.0}, finished=datetime(2026, 3, 4, 15, 9, tzinfo=UTC),
        ),
        pools=(
            PoolInfo(
                scenario="multi", query_lang="de", lang="de", languages=("en", "de"), sizes={"en": 2, "de": 2},
                share=None, seed=0, documents_sha256="ef" * 32, per_query=None,
            ),
        ),
        metrics=tuple(row for row in metrics(langs) if row.scenario.partition("(")[0] in scenarios),
        skipped=(Skipped(what="queries", reason="no gold in German", count=1, examples=("de-q9",)),),
    )  # fmt: skip
    return made.model_copy(update=changes)


def corpus(hostile: bool = False) -> Corpus:
    texts = dict.fromkeys(LANGS, HOSTILE) if hostile else TEXTS
    questions = dict.fromkeys(LANGS, HOSTILE) if hostile else QUESTIONS
    groups = [(lang, group) for lang in LANGS for group in ("a", "b")]
    documents = [
        {"doc_id": f"{lang}-{g}", "group_id": g, "lang": lang, "text": texts[lang], "title": None} for lang, g in groups
    ]
    queries = [
        {"query_id": f"{lang}-q{g}", "group_id": f"q{g}", "lang": lang, "text": questions[lang]} for lang, g in groups
    ]
    qrels = [{"query_id": query["query_id"], "group_id": query["group_id"][1:], "grade": 1} for query in queries]
    return Corpus(
        "demo",
        pa.Table.from_pylist(documents, DOCUMENTS),
        pa.Table.from_pylist(queries, QUERIES),
        pa.Table.from_pylist(qrels, QRELS),
    )


def ranks(last: int = 4) -> pl.DataFrame:
    """The multi pools of German and Arabic; the gold in the other language is at rank `last`."""
    rows = [
        {
            "scenario": "multi", "lang": lang, "query_id": f"{query_lang}-q{group}", "query_lang": query_lang,
            "doc_id": f"{gold_lang}-{group}", "gold_lang": gold_lang, "group_id": group, "grade": 1,
            "rank": 1 if gold_lang == query_lang else last, "score": 0.8, "ties": 0, "n_golds": 2, "pool_size": 4,
            "unrelated": 2, "unrelated_en": 1, "pool_en": 2,
            "outranking_en": 0 if gold_lang == query_lang else 1,
            **{f"outranking_{other}": (1 if gold_lang != query_lang else 0) if other == lang else None
               for other in LANGS[1:]},
        }
        for lang in LANGS[1:]
        for query_lang in ("en", lang)
        for group in ("a", "b")
        for gold_lang in ("en", lang)
    ]  # fmt: skip
    return pl.DataFrame(rows)


def topk() -> pl.DataFrame:
    rows = [
        {
            "scenario": "multi", "lang": lang, "query_id": f"{query_lang}-q{group}", "query_lang": query_lang,
            "position": position, "doc_id": f"{doc_lang}-{doc_group}", "doc_lang": doc_lang,
            "score": 0.9 - position / 10, "relation": "gold" if doc_group == group else "unrelated",
        }
        for lang in LANGS[1:]
        for query_lang in ("en", lang)
        for group in ("a", "b")
        for position, (doc_lang, doc_group) in enumerate(
            [(query_lang, group), (lang, "ba"[group == "b"]), ("en", "ba"[group == "b"])], start=1
        )
    ]  # fmt: skip
    return pl.DataFrame(rows)


class Page(HTMLParser):
    """Tags with their attributes; fails where tags do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag
