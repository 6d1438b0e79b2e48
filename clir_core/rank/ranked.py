"""What a ranking says beside its files."""

from clir_core.corpus.tables import Skipped
from clir_core.scenarios.pool_info import PoolInfo
from clir_core.spec import Spec


class Ranked(Spec):
    """What the ranking says beside its files, ranks.parquet and topk.parquet."""

    pools: tuple[PoolInfo, ...]
    skipped: tuple[Skipped, ...]
    ties: int
    near_ties: int
