"""The canary: five texts whose vectors are kept, and tell whether a model still gives the same ones."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from clir_core.model.reading import Reading
from clir_core.spec import Spec

if TYPE_CHECKING:
    import numpy as np

# short and long, five scripts, a word that few tokenizers know
TEXTS = (
    "Where do bees find their way home?",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich, und niemand weiß warum.",
    "蜜蜂在飞行了很长一段距离之后是怎样找到回家的路的？",
    "كيف تجد النحل طريقها إلى الموطن؟",
    "The river rises in the hills, runs past mills and meadows, and meets the sea beside a harbour that "
    "fishermen built of stone in 1784; since then it has been flooded eleven times. यह नदी पहाड़ों से निकलती है।",
)
# 1 - cosine, from which on vectors are others: far above what another machine's last bits change
TOLERANCE = {"float32": 1e-5}
_OF_16_BITS = 2e-3


class Canary(Spec):
    """The vectors of TEXTS, as queries, and what made them."""

    vectors: tuple[str, ...] = Field(description="One a text: base64 of float32, little-endian")
    versions: dict[str, str]
    reading: Reading

    @staticmethod
    def of(vectors_NH: "np.ndarray", versions: dict[str, str], reading: Reading) -> "Canary":
        """Of the vectors of TEXTS in their order."""
        rows = [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in vectors_NH]
        return Canary(vectors=tuple(rows), versions=versions, reading=reading)

    def array(self) -> "np.ndarray":
        """The vectors, float32 [texts, H]."""
        import numpy as np

        return np.stack([np.frombuffer(base64.b64decode(row), "<f4") for row in self.vectors])


def distance(one_NH: "np.ndarray", other_NH: "np.ndarray") -> float:
    """The largest 1 - cosine, also of lengths that differ, of vectors of the same texts; 2 where shapes differ."""
    import numpy as np

    if one_NH.shape != other_NH.shape:
        return 2.0
    one, other = one_NH.astype(np.float64), other_NH.astype(np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    larger = np.maximum((one**2).sum(1), (other**2).sum(1))
    # by the longer one's square: equal vectors are at 0, and so is nothing else
    apart = 1 - (one * other).sum(1) / np.where(larger > 0, larger, 1)
    return float(np.where(lengths + larger > 0, apart, 0).max())


def is_same(one: Canary, other: Canary) -> bool:
    """Whether both are vectors of one model, but for the last bits."""
    return distance(one.array(), other.array()) <= TOLERANCE.get(one.reading.dtype, _OF_16_BITS)


def explained(before: Canary, now: Canary) -> str:
    """What is different beside the vectors: versions of libraries."""
    names = sorted({*before.versions, *now.versions})
    changed = [
        f"{name} {before.versions.get(name, 'none')} then, {now.versions.get(name, 'none')} now"
        for name in names
        if before.versions.get(name) != now.versions.get(name)
    ]
    return ", ".join(changed) or "the same versions of libraries as then"


def canary_file(workspace: Path, vectors: str) -> Path:
    """Where the canary of vectors of this identity is kept."""
    return workspace / "canaries" / f"{vectors[:32]}.json"


def rows_of(texts: Sequence[str]) -> list[dict[str, str]]:
    """The texts as rows that encoders take: id, group_id, lang, text_hash, text."""
    return [
        {"id": f"canary/{at}", "group_id": f"canary/{at}", "lang": "en", "text_hash": str(at), "text": text}
        for at, text in enumerate(texts)
    ]
