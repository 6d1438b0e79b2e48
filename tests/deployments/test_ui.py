"""The Prefect UI in a browser: a training is started from its form and watched to its end, what it left is read.

Run by `make test-ui`. CLIR_UI_PICTURES names a folder for pictures of all that was seen, CLIR_UI_WORKSPACE the
workspace of a service that is up already.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from service_case import call, drop, watch_list

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; `make test-ui` installs it")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BROWSER, reason="no Chromium on the PATH; apt-get install chromium"),
]
# without a sandbox: CI runs as root; without the rest: nothing but the service is asked
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZE = {"width": 1300, "height": 1000}
PATIENCE = 60_000  # milliseconds until a page shows something
GROUPS = 6


@dataclass(frozen=True)
class Ui:
    """The UI of a service, in a page that is logged in."""

    page: Any
    url: str
    workspace: Path
    pictures: Path

    def open_form(self, deployment: str) -> None:
        """The custom run of a deployment, as one clicks there."""
        self.page.goto(f"{self.url}/deployments")
        links = self.page.locator("a[href*='/deployments/deployment/']")
        links.filter(has_text=re.compile(f"^{deployment}$")).click()
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Custom run").click()
        self.field("Workspace").wait_for()

    def field(self, label: str) -> Any:
        return self.page.get_by_label(f"{label} (Optional)", exact=True).first

    def submit(self) -> None:
        self.page.get_by_role("button", name="Submit").click()

    def watch(self, seconds: float) -> None:
        """From the form to the run's page, and there until it has ended."""
        run = self.page.get_by_label("Run Name").input_value()
        self.submit()
        self.page.get_by_role("link", name=run).first.click()
        ended = self.page.get_by_text(re.compile("^(Completed|Failed|Crashed|Cancelled)$")).first
        ended.wait_for(timeout=1000 * seconds)
        assert ended.inner_text() == "Completed"

    def open_artifact(self, key: str) -> str:
        """An artifact of the run that is shown, by a pattern of its key; its text."""
        self.page.get_by_role("tab", name="Artifacts").click()
        card = self.page.locator("a[href*='/artifacts/key/']")
        card.filter(has=self.page.get_by_text(re.compile(f"^{key}"))).first.click()
        self.page.locator("a[href*='/artifacts/artifact/']").first.click()  # its history, newest first
        self.page.locator("table").first.wait_for()
        return str(self.page.get_by_role("main").inner_text())

    def picture(self, name: str) -> None:
        """The whole page, however long."""
        tall = "Math.max(...[...document.querySelectorAll('*')].map(each => each.scrollHeight))"
        self.page.set_viewport_size({**SIZE, "height": min(self.page.evaluate(tall), 9000)})
        self.page.screenshot(path=self.pictures / f"{name}.png")
        self.page.set_viewport_size(SIZE)


@pytest.fixture(scope="module")
def workspace(settings: Callable[[], dict[str, str]]) -> Iterator[Path]:
    """Of CLIR_UI_WORKSPACE's service, or of one that is up for this: what the other tests count is left alone."""
    if running := os.environ.get("CLIR_UI_WORKSPACE"):
        yield Path(running).resolve()
        return
    environment = settings()
    try:
        done = call("up", environment)
        assert done.returncode == 0, done.stdout + done.stderr
        yield Path(environment["CLIR_WORKSPACE"])
    finally:
        call("down", environment)


@pytest.fixture(scope="module")
def ui(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """A browser that has asked for the service's address and answered its login page."""
    pictures = Path(os.environ.get("CLIR_UI_PICTURES") or tmp_path_factory.mktemp("pictures"))
    pictures.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{json.loads((workspace / 'service' / 'settings.json').read_text('utf-8'))['ui_port']}"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=OPTIONS)
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(PATIENCE)
        page.goto(url)
        # its one field takes what `make up` printed
        page.locator("input").fill((workspace / "prefect" / "auth").read_text("utf-8"))
        page.get_by_role("button", name="Login").click()
        page.wait_for_url("**/dashboard*")
        yield Ui(page, f"{url}/v2", workspace, pictures)
        browser.close()


@pytest.mark.parametrize("deployment", ["checkpoint", "audit", "finetune", "corpus", "checkpoints"])
def test_every_field_of_a_form_is_named_and_described(ui: Ui, deployment: str) -> None:
    ui.open_form(deployment)
    ui.picture(f"form-{deployment}")
    spec = ui.page.locator("label", has_text="(Optional)")
    assert spec.count() > 3
    told = spec.evaluate_all("labels => labels.map(each => [each.innerText, each.parentElement.innerText])")
    assert [label for label, whole in told if whole.strip() == label.strip()] == []
    assert [label for label, _ in told if "Spec" in label or label.startswith("Field")] == []


@pytest.mark.parametrize(
    ("label", "value", "told"),
    [("Learning rate", "-1", "-1 is less than or equal to the minimum of 0"), ("Held out", "2", "")],
)
def test_a_wrong_value_is_refused_where_it_stands(ui: Ui, label: str, value: str, told: str) -> None:
    ui.open_form("finetune")
    ui.field(label).fill(value)
    ui.submit()
    if told:
        ui.page.get_by_text(told, exact=True).wait_for()
    else:  # the browser knows the bounds of this one
        assert "less than or equal to 1" in ui.field(label).evaluate("field => field.validationMessage")
    assert "/run?" in ui.page.url


def test_a_training_from_the_form_and_a_night_after_it(
    ui: Ui, tiny_model: Path, demo_part: Callable[..., Path], tmp_path: Path
) -> None:
    corpus = demo_part(tmp_path / "corpus", ("de",), GROUPS)
    ui.open_form("finetune")
    for label, value in {
        "Base": str(tiny_model),
        "Evaluation": f"parquet:{corpus}",
        "Triples": "24",
        "Batch": "8",
        "Held out": "0",
        "Workspace": str(ui.workspace),
    }.items():
        ui.field(label).fill(value)
    ui.page.get_by_role("tab", name="Preset").click()
    ui.page.get_by_label("Select Preset").click()
    ui.page.get_by_role("option", name="infonce", exact=True).click()
    ui.picture("form-filled")
    ui.watch(seconds=600)
    ui.picture("run")
    run = ui.page.url
    verdict = ui.open_artifact("alignment-tiny-")
    ui.picture("alignment")
    assert re.search(r"Registered as tiny-aligned-\w+: (rejected|candidate|promoted)", verdict)
    assert "mono acc@1: before" in verdict and "German (de)" in verdict
    ui.page.goto(run)
    assert "difference" in ui.open_artifact("before-after-")
    ui.picture("before-after")

    incoming = tmp_path / "incoming"
    incoming.mkdir()
    sources = [{"kind": "directory", "path": str(incoming), "settle": 0}, {"kind": "aligned"}]
    family = {"name": "tiny", "baseline": str(tiny_model), "sources": sources}
    drop(tiny_model, incoming / "fresh", seed=1)
    ui.open_form("audit")
    ui.field("Watch").fill(str(watch_list(tmp_path / "watch.yaml", corpus, family)))
    ui.field("Workspace").fill(str(ui.workspace))
    ui.watch(seconds=600)
    run = ui.page.url
    assert "fresh: unchanged" in ui.open_artifact("nightly$")
    ui.picture("nightly")
    ui.page.goto(run)
    history = ui.open_artifact("history-tiny$")
    ui.picture("history")
    assert "fresh" in history and "complete@10 X" in history
