"""What the query side of a corrected index has to do: a small JSON, and the same in NumPy."""

from collections.abc import Iterable, Mapping

import numpy as np
from pydantic import Field

from clir_core.correct.correction import Correction
from clir_core.correct.spec import Corrects
from clir_core.spec import Spec


class Step(Spec):
    """For queries of one language, in this order; null and empty where there is nothing to do."""

    subtract: tuple[float, ...] | None = Field(None, description="From the vector")
    project_out: tuple[float, ...] | None = Field(None, description="x - c (c . x), with this c of length 1")
    append: tuple[float, ...] = Field((), description="Further coordinates, after the vector has length 1")


class QuerySide(Spec):
    """Every query's way to the corrected index, which ranks by dot product."""

    correction: str
    dimensions: int = Field(description="Of a query's vector as the model gives it")
    corrected_dimensions: int = Field(description="Of the index")
    similarity: str = "dot"
    normalise_before: bool = Field(description="Whether the model's vector gets length 1 first")
    normalise_after: bool = Field(description="Whether it gets length 1 again, before coordinates are appended")
    needs_language: bool = Field(description="Whether a query's language has to be known; else the step of any will do")
    languages: Mapping[str, Step]

    def apply(self, lang: str, vectors_NH: np.ndarray) -> np.ndarray:
        """Queries of a language as the index takes them, float32 [N, corrected_dimensions]."""
        step = self.languages[lang]
        out_NH = np.asarray(vectors_NH, np.float64)
        if self.normalise_before:
            out_NH = _unit(out_NH)
        if step.subtract:
            out_NH = out_NH - np.array(step.subtract)
        if step.project_out:
            c_H = np.array(step.project_out)
            out_NH = out_NH - (out_NH @ c_H)[:, None] * c_H
        if self.normalise_after:
            out_NH = _unit(out_NH)
        further_NK = np.tile(step.append, (len(out_NH), 1))
        return np.hstack([out_NH, further_NK]).astype(np.float32)


def query_side(spec: Corrects, correction: Correction, dim: int, languages: Iterable[str]) -> QuerySide:
    """Of a fitted correction."""
    steps = {lang: _step(correction, lang) for lang in languages}
    return QuerySide(
        correction=str(spec.correction),
        dimensions=dim,
        corrected_dimensions=dim + len(next(iter(steps.values())).append),
        normalise_before=correction.unit,
        normalise_after=correction.unit and spec.removal is not None,
        needs_language=spec.asks_language,
        languages=steps,
    )


def _step(correction: Correction, lang: str) -> Step:
    removal, hub = correction.queries[lang], correction.hub
    taken = tuple(removal.vector_H.tolist()) if removal else None
    is_direction = removal is not None and removal.is_direction
    append = hub.of_queries(lang, np.zeros((1, 0), np.float32))[0].tolist() if hub else ()
    return Step(
        subtract=None if is_direction else taken, project_out=taken if is_direction else None, append=tuple(append)
    )


def _unit(vectors_NH: np.ndarray) -> np.ndarray:
    lengths_N1 = np.linalg.norm(vectors_NH, axis=1, keepdims=True)
    return vectors_NH / np.where(lengths_N1 > 0, lengths_N1, 1.0)
