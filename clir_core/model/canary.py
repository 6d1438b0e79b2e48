"""The canary: five texts whose vectors are kept, and tell whether a model still gives the same ones."""

import base64
from typing import TYPE_CHECKING

from pydantic import Field

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
    dtype: str
    versions: dict[str, str]

    @staticmethod
    def of(vectors_NH: "np.ndarray", dtype: str, versions: dict[str, str]) -> "Canary":
        """Of the vectors of TEXTS in their order."""
        rows = (base64.b64encode(row.astype("<f4").tobytes()).decode() for row in vectors_NH)
        return Canary(vectors=tuple(rows), dtype=dtype, versions=versions)

    def array(self) -> "np.ndarray":
        """The vectors, float32 [texts, H]."""
        import numpy as np

        return np.stack([np.frombuffer(base64.b64decode(row), "<f4") for row in self.vectors])


def distance(one: Canary, other: Canary) -> float:
    """How far their vectors are apart."""
    return apart(one.array(), other.array())


def apart(ones_NH: "np.ndarray", others_NH: "np.ndarray") -> float:
    """The largest 1 - cosine of vectors of one text, lengths that differ counting as well; 2 where sizes differ."""
    import numpy as np

    one_NH, other_NH = (vectors_NH.astype(np.float64) for vectors_NH in (ones_NH, others_NH))
    if one_NH.shape != other_NH.shape:
        return 2.0
    larger_N = np.maximum((one_NH**2).sum(1), (other_NH**2).sum(1))
    # by the longer one's square: equal vectors are at 0, and no others
    apart_N = 1 - (one_NH * other_NH).sum(1) / np.where(larger_N > 0, larger_N, 1)
    return float(np.where(larger_N > 0, apart_N, 0).max())


def is_same(one: Canary, other: Canary) -> bool:
    """Whether both are vectors of one model, but for the last bits."""
    return distance(one, other) <= max(TOLERANCE.get(canary.dtype, _OF_16_BITS) for canary in (one, other))


def changed_versions(before: Canary, now: Canary) -> str:
    """Libraries of another version, in words."""
    names = sorted({*before.versions, *now.versions})
    changed = [
        f"{name} {before.versions.get(name, 'none')} then and {now.versions.get(name, 'none')} now"
        for name in names
        if before.versions.get(name) != now.versions.get(name)
    ]
    return ", ".join(changed) or "libraries are those of then"
