"""Which approximate index an audit builds beside its exact ranking. Light."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from clir_core.spec import Spec

IndexName = Literal["ivf_flat", "ivf_sq", "ivf_pq", "hnsw_flat", "hnsw_sq", "hnsw_pq"]
PROBES = (1, 4, 16)  # of an inverted file
CANDIDATES = (2, 8, 32)  # of a graph, times as many as documents are asked for
Effort = Annotated[int, Field(ge=1)]


def _rising(values: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(values)))


class Indexes(Spec):
    """An index as it is served, and how hard it is searched."""

    index: IndexName | None = Field(
        None,
        description="Also search an approximate index of the pools of all languages, built by LanceDB, and tell what "
        "of the exact result it returns, language by language",
    )
    index_partitions: int = Field(
        0, ge=0, description="Parts of an ivf index; 0 means the square root of its documents. Graphs have one"
    )
    index_effort: Annotated[tuple[Effort, ...], AfterValidator(_rising)] = Field(
        (),
        description="Partitions that a query looks into (nprobes), or candidates that it keeps in a graph (ef); empty "
        f"means {', '.join(map(str, PROBES))}, or {', '.join(map(str, CANDIDATES))} times the largest cutoff",
    )

    @property
    def is_graph(self) -> bool:
        """Whether the index is a graph (hnsw), else an inverted file."""
        return bool(self.index and self.index.startswith("hnsw"))

    def efforts(self, k: int) -> tuple[int, ...]:
        """How hard it is searched for k documents."""
        return self.index_effort or (tuple(times * k for times in CANDIDATES) if self.is_graph else PROBES)

    @model_validator(mode="after")
    def _belongs_to_an_index(self) -> Self:
        if not self.index and (self.index_partitions or self.index_effort):
            raise ValueError("index_partitions and index_effort are of an index, and none is asked for; add `index`")
        if self.is_graph and self.index_partitions:
            raise ValueError(f"{self.index} is one graph; leave index_partitions out")
        return self
