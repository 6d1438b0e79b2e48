"""The design's rules about files: who may import whom, what starts light, and what can be read in one sitting."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MOST_LINES = 350

# from the roof down: a file imports from its own floor and from those below; clir_core itself is the library's front
FLOORS = (
    "deployments",
    "flows",
    "tasks",
    "clir_core",
    "clir_core.jobs",
    "clir_core.runs",
    "clir_core.report",
    "clir_core.align.train",
    "clir_core.align",
    "clir_core.registry",
    "clir_core.measure",
    "clir_core.audit",
    "clir_core.correct",
    "clir_core.rank",
    "clir_core.scenarios",
    "clir_core.model",
    "clir_core.sources",
    "clir_core.workspace",
    "clir_core.corpus",
    "clir_core.telemetry",
    "clir_core.errors",
    "clir_core.spec",
    "clir_core.shown",
)
# the only floors that may import a framework
HOMES = {
    "prefect": ("deployments", "flows", "tasks"),
    "prefect_ray": (),
    "ray": ("clir_core.jobs",),
}

HEAVY = ("torch", "lancedb", "ray", "prefect", "matplotlib", "numba")
ARRAYS = ("polars", "pyarrow", "numpy")
# what a command line, a form or a listing needs: a module, or every module of a folder
LIGHT = {
    "clir_core": (*HEAVY, *ARRAYS),
    "clir_core.spec": (*HEAVY, *ARRAYS),
    "clir_core.shown": (*HEAVY, *ARRAYS),
    "clir_core.errors": (*HEAVY, *ARRAYS),
    "clir_core.telemetry": (*HEAVY, *ARRAYS),
    "clir_core.audit.spec": (*HEAVY, *ARRAYS),
    "clir_core.correct.spec": (*HEAVY, *ARRAYS),
    "clir_core.align.spec": (*HEAVY, *ARRAYS),
    "clir_core.measure.gate_spec": (*HEAVY, *ARRAYS),
    "clir_core.model.checkpoint": (*HEAVY, *ARRAYS),
    "clir_core.registry.watch": (*HEAVY, *ARRAYS),
    "clir_core.registry.registry": (*HEAVY, *ARRAYS),
    "clir_core.registry.*": HEAVY,
    "clir_core.workspace.*": (*HEAVY, *ARRAYS),
    "flows.cli": (*HEAVY, *ARRAYS),
    "flows.commands.*": HEAVY,
}


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TOPS = dict.fromkeys(floor.partition(".")[0] for floor in FLOORS)
MODULES = {_module(path): path for top in TOPS for path in sorted((ROOT / top).rglob("*.py"))}
named = pytest.mark.parametrize("module", MODULES)


def imports(path: Path, known: Mapping[str, Path] = MODULES) -> Iterator[str]:
    """Every module that a file imports, at its top or in a function; a relative import by its full name."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            whole = ".".join([*above, *filter(None, [node.module])])
            # `from package import module`, or a name that a module has
            inside = (f"{whole}.{alias.name}" for alias in node.names)
            yield from (one if one in known else whole for one in inside)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("import_module", "importlib.import_module"):
            yield from (arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant))


@cache
def ours(module: str) -> frozenset[str]:
    """The modules of this project that a module imports."""
    return frozenset(one for one in imports(MODULES[module]) if one in MODULES)


def floor(module: str) -> str:
    """The innermost floor that a module is on; a new room of the library is on none."""
    within = [one for one in FLOORS if module == one or (one != "clir_core" and module.startswith(f"{one}."))]
    assert within, f"{module}: say in FLOORS which floor this room is on"
    return max(within, key=len)


@named
def test_imports_point_downwards(module: str) -> None:
    at = FLOORS.index(floor(module))
    climbing = {one: floor(one) for one in ours(module) if FLOORS.index(floor(one)) < at}
    assert not climbing, f"{module} is on the floor {floor(module)}, below what it imports"


def test_no_files_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter({module: ours(module) for module in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


@named
def test_a_framework_is_imported_where_it_is_at_home(module: str) -> None:
    packages = {one.partition(".")[0] for one in imports(MODULES[module])}
    assert not {name for name, homes in HOMES.items() if name in packages and floor(module) not in homes}


def _written_out(light: str) -> list[str]:
    folder = light.removesuffix(".*")
    return [one for one in MODULES if one.startswith(f"{folder}.")] if folder != light else [light]


@pytest.mark.parametrize("unwanted", [HEAVY, ARRAYS], ids=["frameworks", "arrays"])
def test_what_a_command_line_imports_is_light(unwanted: tuple[str, ...]) -> None:
    light = [one for name, without in LIGHT.items() if set(unwanted) <= set(without) for one in _written_out(name)]
    program = (
        "import sys; from importlib import import_module\n"
        f"for name in {light}:\n"
        f"    import_module(name); found = set({unwanted}) & set(sys.modules)\n"
        "    if found: sys.exit(f'{name} imports {sorted(found)}')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@named
def test_a_file_can_be_read_in_one_sitting(module: str) -> None:
    assert len(MODULES[module].read_text("utf-8").splitlines()) <= MOST_LINES


@named
def test_a_module_opens_with_what_it_is_for(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    assert not tree.body or ast.get_docstring(tree)


def test_the_page_of_the_house_lists_every_room_from_the_roof_down() -> None:
    rows = (ROOT / "docs" / "house.md").read_text("utf-8").split("\n| `")[1:]
    listed = [row.partition("`")[0].replace("/", ".") for row in rows]
    assert listed == [room for room in FLOORS if room != "clir_core"]
    picture = (ROOT / "docs" / "house.svg").read_text("utf-8")
    assert [room for room in FLOORS if room.removeprefix("clir_core.").replace(".", "/") not in picture] == []


def test_there_is_something_to_check() -> None:
    assert {"clir_core.rank.outrank", "deployments.service"} <= MODULES.keys()
    assert "clir_core.workspace.storage" in ours("clir_core.workspace.atomic")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import prefect.flows as x", {"prefect.flows"}),
        ("def late():\n    from ray.train import report", {"ray.train"}),
        ("from ..corpus import Corpus", {"clir_core.corpus"}),
        ("from . import submit, Name", {"clir_core.jobs.submit", "clir_core.jobs"}),
        ("from clir_core import errors", {"clir_core.errors"}),
        ("import importlib\nimportlib.import_module('flows.audit')", {"importlib", "flows.audit"}),
    ],
)
def test_every_way_to_import_is_seen(
    source: str, found: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clir_core" / "jobs" / "one.py"
    path.parent.mkdir(parents=True)
    path.write_text(source, "utf-8")
    monkeypatch.setattr("test_layers.ROOT", tmp_path)
    assert set(imports(path)) == found
