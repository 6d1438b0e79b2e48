"""A fitted correction: documents and queries as they are ranked by it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clir_core.correct.hub import Hub
from clir_core.correct.removal import Removal


@dataclass(frozen=True)
class Correction:
    """What is taken out of documents and queries of each language, and then the hubs that are pushed down.

    None leaves them as they are, to the last bit. Where `unit`, vectors get length 1 again, as those of a checkpoint
    that ranks by cosine are stored; what the hubs add comes after that. Corrected vectors are ranked by dot product.
    """

    documents: Mapping[str, Removal | None]
    queries: Mapping[str, Removal | None]
    unit: bool
    hub: Hub | None = None

    def of_documents(self, lang: str, vectors_NH: np.ndarray) -> np.ndarray:
        """Corrected vectors of documents of a language, float32 [N, H], or wider where hubs are pushed down."""
        removal = self.documents[lang]
        corrected_NH = removal.apply(vectors_NH, self.unit) if removal else vectors_NH
        return self.hub.of_documents(corrected_NH) if self.hub else corrected_NH

    def of_queries(self, lang: str, vectors_NH: np.ndarray) -> np.ndarray:
        """Corrected vectors of queries of a language, as wide as documents."""
        corrected_NH = self.without_language(lang, vectors_NH)
        return self.hub.of_queries(lang, corrected_NH) if self.hub else corrected_NH

    def without_language(self, lang: str, vectors_NH: np.ndarray) -> np.ndarray:
        """Queries of a language without what it adds, float32 [N, H]."""
        removal = self.queries[lang]
        return removal.apply(vectors_NH, self.unit) if removal else vectors_NH
