"""What is wrong with triples that somebody else wrote: every row is looked at, every problem is one line."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import pyarrow as pa

from clir_core.corpus.lang import language_problem
from clir_core.corpus.pivot import ENGLISH

_IDS = ("triple_id", "group_id", "query_group_id")
# looking for what a mistyped code meant takes a while, and a file tends to hold it in every row
_language_problem = lru_cache(language_problem)


def triple_problems(table: pa.Table, file: str) -> list[str]:
    """One line a problem, with file and row (from 1). The table has the columns of TRIPLES, any of them null."""
    if not len(table):
        return [f"{file}: there are no triples; training needs some"]
    first: dict[str, int] = {}
    problems = []
    for row, triple in enumerate(table.to_pylist(), start=1):
        found = [*_sides(triple), *_negatives(triple)]
        before = first.setdefault(triple["triple_id"], row)
        if before != row and not _blank(triple["triple_id"]):
            found.append(f"triple_id {triple['triple_id']!r} was used before, in row {before}; rename or remove one")
        problems += [f"{file}, row {row}: {problem}" for problem in found]
    return problems


def _sides(triple: Mapping[str, Any]) -> Iterator[str]:
    for name in _IDS:
        if _blank(triple[name]):
            yield f"{name} is empty; every triple needs one"
    lang = triple["lang"]
    if _blank(lang):
        yield "lang is empty, so there is no language pair; write the language of p_x, such as 'de'"
    elif lang == ENGLISH:
        yield f"lang is {ENGLISH!r}, so there is no language pair; write the language of p_x, or remove the triple"
    elif problem := _language_problem(lang):
        yield problem
    of = f"of triple {triple['triple_id']!r} ({ENGLISH}-{lang})"
    for name in ("q_en", "p_en", "p_x"):
        if _blank(triple[name]):
            yield f"{name} {of} is empty; write it, or remove the triple"
    if triple["q_x"] is not None and _blank(triple["q_x"]):
        yield f"q_x {of} is empty; write it, or null where there is none"


def _negatives(triple: Mapping[str, Any]) -> Iterator[str]:
    of = f"of triple {triple['triple_id']!r}"
    if triple["negatives"] is None:
        yield f"negatives {of} is null; write an empty list where there are none"
        return
    for at, text in enumerate(triple["negatives"]):
        if _blank(text):
            yield f"negatives[{at}] {of} is empty; write it, or take it out of the list"
        elif text == triple["p_en"]:
            yield f"negatives[{at}] {of} is its p_en, which answers; take it out of the list"


def _blank(text: str | None) -> bool:
    return text is None or not text.strip()
