"""A repository on a hub, watched by the service: what gets a tag is audited in the next night, once."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import hub_stub
import pytest
from service_case import Service, drop, steps, watch_list

pytestmark = pytest.mark.slow
REPO = "org/tiny"
# a new tag, or "", to the jobs that the night took and the tag's commit
Night = Callable[[str], tuple[Counter[str], str]]


@pytest.fixture(scope="module")
def night(
    service: Service, tiny_model: Path, demo_part: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Night:
    """Gives new weights a tag, if one is named, and lets a night pass."""
    place = tmp_path_factory.mktemp("hub")
    source = {"kind": "hub", "repo": REPO, "revisions": "tags"}
    family = {"name": "on-the-hub", "baseline": f"hf:{REPO}@v1", "sources": [source]}
    watch = watch_list(place / "watch.yaml", demo_part(place / "corpus", ("de",), 6), family)

    def pass_a_night(tag: str) -> tuple[Counter[str], str]:
        commit = tag and service.hub.push(REPO, hub_stub.files_of(drop(tiny_model, place / tag, len(tag))), tag=tag)
        before = service.jobs()
        service.completed(service.start("nightly/audit", watch=str(watch)))
        return steps({name: job for name, job in service.jobs().items() if name not in before}), commit

    return pass_a_night


def test_each_tag_is_audited_once_and_pinned(
    service: Service, night: Callable[[str], tuple[Counter[str], str]]
) -> None:
    def outcomes() -> dict[str, list[str]]:
        known = service.known("on-the-hub").values()
        return {entry.found.ref: [audit.outcome for audit in entry.audits] for entry in known}

    jobs, first = night("v1")
    assert jobs == {"embed": 1, "rank": 1}
    assert outcomes() == {f"hf:{REPO}@{first}": ["measured"]}
    asked = len(service.hub.asked)
    jobs, _ = night("")
    assert not jobs and not [path for path in service.hub.asked[asked:] if path.endswith(".safetensors")]
    jobs, second = night("v1.1")
    assert jobs == {"embed": 1, "rank": 1}
    assert outcomes() == {f"hf:{REPO}@{first}": ["measured"], f"hf:{REPO}@{second}": ["measured", "unchanged"]}
    assert list(Path(service.environment["HF_HOME"]).rglob(f"snapshots/{second}"))
