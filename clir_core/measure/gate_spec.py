"""What a gate asks of a checkpoint, and what it can say of one."""

from typing import Annotated, Literal

from pydantic import Field

from clir_core.corpus.lang import Lang
from clir_core.scenarios import ScenarioName
from clir_core.spec import Spec

Share = Annotated[float, Field(ge=0, le=1)]
Status = Literal["candidate", "promoted", "rejected"]
Outcome = Literal["measured", "improved", "unchanged", "regressed", "failed"]


class GateSpec(Spec):
    """What a checkpoint must win on average, and what it may lose, to be promoted."""

    metric: str = Field("complete@10", description="What has to improve beyond chance, such as complete@10 or mrr")
    scenario: ScenarioName = Field("multi", description="The pools that it is measured in")
    languages: tuple[Lang, ...] = Field(
        (), description="Languages whose average has to improve, and none may be shown to lose; empty means all audited"
    )
    margin: Share = Field(
        0.01, description="What mono acc@1 and ndcg@10 may lose: more is excluded on average, and shown in no language"
    )
