"""What a result says of a pool."""

from clir_core.spec import Spec


class PoolInfo(Spec):
    """One pool of the result. Where `per_query` is set, each query's pool differs from these documents as it says."""

    scenario: str
    query_lang: str
    lang: str | None
    languages: tuple[str, ...]
    sizes: dict[str, int]
    share: float | None
    seed: int
    documents_sha256: str
    per_query: str | None
