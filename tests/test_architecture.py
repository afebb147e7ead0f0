"""The import layers are law: a module imports only from rows above its own, and two worlds meet in few places."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Set
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "geo2map"
COMMANDS = ROOT / "cli" / "geo2map_cli"

ROWS = (
    {"errors", "types", "threads"},
    {"files", "grid"},
    {"colour"},
    {"features"},
    {"aoi", "protocols", "families", "metrics", "demo"},
    {"tiles", "model"},
    {"scene", "engine", "train"},
    {"plan", "evaluate"},
    {"formats"},
    {"pipeline"},
    {"ledger"},
    {"checking", "testing", "buckets"},
    {"live"},
    {"api", "pairs"},
    {"cluster"},
)
ROW_OF = {room: row for row, rooms in enumerate(ROWS) for room in rooms}
TENSORS = {"families", "engine", "train", "evaluate"}
BOTH = {"api"}
MAY_LOAD_TORCH_LAZILY = {"model"}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, nested: bool) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if nested else iter(tree.body)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms_imported(path: Path) -> set[str]:
    parts = [name.split(".") for name in imports(path, nested=True)]
    return {part[1] for part in parts if part[0] == "geo2map" and len(part) > 1 and part[1] in ROW_OF}


def test_every_room_has_a_row() -> None:
    assert {room(path) for path in modules()} == set(ROW_OF)


def test_unit_tests_mirror_the_rooms() -> None:
    folders = {path.parent.name for path in (ROOT / "tests" / "unit").glob("*/test_*.py")}
    assert folders <= {path.name for path in PACKAGE.iterdir() if path.is_dir()}


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_only_from_rows_above(path: Path) -> None:
    own = room(path)
    wrong = {other for other in rooms_imported(path) if other != own and ROW_OF[other] >= ROW_OF[own]}
    assert not wrong, f"{own} (row {ROW_OF[own]}) must not import {wrong}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_two_worlds(path: Path) -> None:
    own = room(path)
    roots = {name.split(".")[0] for name in imports(path, nested=own not in MAY_LOAD_TORCH_LAZILY)}
    if own not in TENSORS | BOTH:
        assert "torch" not in roots
    if own in TENSORS | {"model", "metrics", "evaluate"}:
        assert not roots & {"rasterio", "mercantile"}
    assert not roots & {"pickle", "click"}


def sources() -> list[Path]:
    """Every module of the library and of the command line."""
    return sorted([*PACKAGE.rglob("*.py"), *COMMANDS.rglob("*.py")])


def is_command(function: ast.FunctionDef) -> bool:
    """Whether click calls it with one argument an option."""
    return function.name in ("command", "wrapped") or any("command" in ast.unparse(d) for d in function.decorator_list)


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_small_rooms(path: Path) -> None:
    """At most 300 lines a file, 50 a function, seven parameters; what users may leave out counts, too."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            assert node.end_lineno - node.lineno < 50, f"{path.name}:{node.name} is too long"
            arguments = node.args
            names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
            count = len([name for name in names if name not in ("self", "cls")])
            if not (isinstance(node, ast.FunctionDef) and is_command(node)):
                assert count <= 7, f"{path.name}:{node.name} has {count} parameters"


def names_defined(path: Path) -> Iterator[str]:
    """Public classes, functions, constants and type aliases of a module; not its logger, nor its click command."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names = [node.name]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
        else:
            continue
        conventional = {"log"} | ({"command", "main", "run"} if path.is_relative_to(COMMANDS) else set())
        yield from (name for name in names if not name.startswith("_") and name not in conventional)


def test_a_name_means_one_thing() -> None:
    """No two public classes, functions, constants or type aliases of one name."""
    homes: dict[str, list[str]] = {}
    for path in sources():
        for name in set(names_defined(path)):
            homes.setdefault(name, []).append(path.relative_to(ROOT).as_posix())
    assert not {name: found for name, found in homes.items() if len(found) > 1}


def modules_imported(path: Path, names: Set[str]) -> Iterator[str]:
    """Which of these modules a module imports, at its top, inside functions or under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:  # `from geo2map.demo import site` needs the module, not what its package exports
                module = f"{node.module}.{alias.name}"
                yield from {module if module in names else node.module} & names
        elif isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & names


def test_no_import_circle() -> None:
    homes = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in modules()
    }
    TopologicalSorter({name: set(modules_imported(path, homes.keys())) for name, path in homes.items()}).prepare()


def test_one_file_uses_private_names_of_rasterio() -> None:
    private = {
        path.relative_to(PACKAGE).as_posix()
        for path in sources()
        if any(name.startswith("rasterio.") and "._" in name for name in imports(path, nested=True))
    }
    assert private == {"files/rasterio_internals.py"}


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every string that is no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value


def matches(paths: Iterable[Path], pattern: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT).as_posix()}:{line}: {text}"
        for path in paths
        for line, text in messages(path)
        if re.search(pattern, text)
    ]


def test_the_library_names_options_as_python_does() -> None:
    """The command line adds its own spelling of an error's `option`."""
    assert not matches(modules(), r"(?<![\w-])--[a-z]")


def test_messages_say_what_is_wrong() -> None:
    """ "crop 100: 4 levels need a multiple of 16 px", not "crop 100 asked, but ..."."""
    assert not matches(sources(), r"\basked\b")


def public_functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Where it is, and each public function of the library."""
    for path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield f"{path.relative_to(ROOT).as_posix()}:{node.name}", node


def test_public_functions_spell_out_their_options() -> None:
    found = {
        where.removeprefix("geo2map/")
        for where, node in public_functions()
        if where.split("/")[1] in ("api", "cluster", "live", "pairs", "scene")
        and node.args.kwarg
        and node.args.kwarg.annotation
        and ast.unparse(node.args.kwarg.annotation) == "Any"
        and not where.endswith(":open_raster")  # passed on to GDAL
    }
    assert not found


def test_each_test_file_has_a_name_of_its_own() -> None:
    """pytest imports them by name."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names)), sorted({name for name in names if names.count(name) > 1})


def test_few_rooms() -> None:
    """Whoever opens the package sees at most 30 names."""
    names = {path.name for path in PACKAGE.iterdir()} - {"__init__.py", "py.typed", "__pycache__"}
    assert len(names) <= 30, sorted(names)


@pytest.mark.parametrize("path", sorted(COMMANDS.rglob("*.py")), ids=lambda path: path.name)
def test_commands_only_parse_call_and_print(path: Path) -> None:
    """No command imports torch, rasterio or numpy itself: the library does the work."""
    roots = {name.split(".")[0] for name in imports(path, nested=True)}
    assert not roots & {"torch", "rasterio", "numpy", "mercantile", "shapely", "PIL"}


@pytest.mark.slow
def test_importing_needs_no_proj(tmp_path: Path) -> None:
    """Whatever PROJ or GDAL cannot do is an error of the command that needs it, never of an import."""
    code = (
        "import pkgutil, importlib, geo2map, geo2map_cli\n"
        "for package in (geo2map, geo2map_cli):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        module.name.endswith('__main__') or importlib.import_module(module.name)\n"
    )
    broken = os.environ | {"PROJ_DATA": str(tmp_path), "PROJ_LIB": str(tmp_path), "GDAL_DATA": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=broken)
    assert done.returncode == 0, done.stderr
    assert "PROJ" not in done.stderr


def test_help_loads_neither_torch_nor_rasterio() -> None:
    code = (
        "import sys; from geo2map_cli.main import cli; cli.main(['--help'], standalone_mode=False);"
        "assert not {'torch', 'rasterio', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "render" in done.stdout
