"""Encoders that are known to prefer something, or nothing: vectors made for it, over a parallel corpus made with them.

A passage is a direction; what an encoder prefers is a direction too, which it gives to some texts. Noise makes it err.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from clir_core import Audit, audit_vectors
from clir_core.scenarios import ScenarioName

Kind = Literal["neutral", "random", "english", "x", "own", "other", "apart", "unable", "slip"]
DIM = 64
SCENARIOS: tuple[ScenarioName, ...] = ("mono", "multi", "distractor")


@dataclass(frozen=True)
class Encoder:
    """What it does, and to what: passages with `per` questions each, and passages of one language alone beside them.

    neutral: nothing but noise. english, x: documents of that side are nearer to every query. own, other: those in the
    query's language, in the other one. apart: languages are so far apart that no query sees another one's documents.
    unable: the first X is noise alone. slip: the first query of the first X asks for another passage.
    """

    kind: Kind = "neutral"
    passages: int = 72
    per: int = 1
    noise: float = 0.0
    langs: tuple[str, ...] = ("de",)
    only_english: int = 0
    only_x: int = 0
    seed: int = 0

    def audit(self, cutoffs: Sequence[int] = (10,)) -> Audit:
        """The audit of its vectors."""
        random = np.random.default_rng(self.seed)
        n = self.passages + self.only_english + self.only_x
        passage_PH = unit(random.normal(size=(n, DIM)))
        toward = dict(
            zip(("en", *self.langs, "all"), unit(random.normal(size=(len(self.langs) + 2, DIM))), strict=True)
        )
        docs = list(self._docs())
        asked = [(lang, q) for lang in ("en", *self.langs) for q in range(self.passages * self.per)]
        documents = [self._noisy(passage_PH[p], lang, random) + self._of_document(lang, toward) for lang, p in docs]
        queries = [
            self._noisy(passage_PH[self._meant(lang, q)], lang, random) + self._of_query(lang, toward)
            for lang, q in asked
        ]
        corpus = {
            "documents": pl.DataFrame([row(f"d{p}", lang, doc_id=f"{lang}/d{p}") for lang, p in docs]),
            "queries": pl.DataFrame([row(f"q{q}", lang, query_id=f"{lang}/q{q}") for lang, q in asked]),
            "qrels": pl.DataFrame(
                {"query_id": f"{lang}/q{q}", "group_id": f"d{q // self.per}", "grade": 1} for lang, q in asked
            ),
        }
        return audit_vectors(
            corpus,
            documents=np.array(documents, np.float32),
            queries=np.array(queries, np.float32),
            name=self.kind,
            scenarios=SCENARIOS,
            cutoffs=cutoffs,
        )

    def _docs(self) -> Iterator[tuple[str, int]]:
        both, end = self.passages, self.passages + self.only_english
        for lang in ("en", *self.langs):
            yield from ((lang, p) for p in range(both))
            yield from ((lang, p) for p in (range(both, end) if lang == "en" else range(end, end + self.only_x)))

    def _noisy(self, vector_H: np.ndarray, lang: str, random: np.random.Generator) -> np.ndarray:
        noise_H = random.normal(size=DIM) / DIM**0.5
        if self.kind == "random" or (self.kind == "unable" and lang == self.langs[0]):
            return noise_H
        return vector_H + self.noise * noise_H

    def _meant(self, lang: str, q: int) -> int:
        is_slip = self.kind == "slip" and (lang, q) == (self.langs[0], 0)
        return 1 if is_slip else q // self.per

    def _of_document(self, lang: str, toward: dict[str, np.ndarray]) -> np.ndarray:
        if self.kind in ("own", "other", "apart"):
            return (20.0 if self.kind == "apart" else 2.0) * toward[lang]
        wins = (self.kind == "english" and lang == "en") or (self.kind == "x" and lang != "en")
        return 1.5 * wins * toward["all"]

    def _of_query(self, lang: str, toward: dict[str, np.ndarray]) -> np.ndarray:
        if self.kind in ("own", "apart"):
            return self._of_document(lang, toward)
        if self.kind == "other":
            return 2.0 * toward[self.langs[0] if lang == "en" else "en"]
        return (self.kind in ("english", "x")) * toward["all"]


def row(group: str, lang: str, **key: str) -> dict[str, str]:
    return {**key, "group_id": group, "lang": lang, "text": f"{group} in {lang}"}


def unit(vectors_NH: np.ndarray) -> np.ndarray:
    return vectors_NH / np.linalg.norm(vectors_NH, axis=1, keepdims=True)
