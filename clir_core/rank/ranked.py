"""What a ranking says beside its files."""

from clir_core.corpus.tables import Skipped
from clir_core.scenarios.pool_info import PoolInfo
from clir_core.spec import Spec

# named by the step: ranks that break ties in another way are other ranks
TIE_RULE = "unrelated, translations, golds; languages by hash; own documents in no pool"


class Ranked(Spec):
    """What the ranking says beside its files, ranks.parquet and topk.parquet."""

    pools: tuple[PoolInfo, ...]
    skipped: tuple[Skipped, ...]
    ties: int
    near_ties: int
    gold_ties: int = 0
    notes: tuple[str, ...] = ()
