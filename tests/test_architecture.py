"""The import layers are law: a module imports only from rows above its own, and two worlds meet in few places."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "geo2map"
COMMANDS = ROOT / "cli" / "geo2map_cli"

ROWS = (
    {"errors", "types", "threads"},
    {"files", "grid"},
    {"colour", "features"},
    {"aoi", "protocols", "nn", "metrics"},
    {"tiles", "model"},
    {"scene", "engine", "train"},
    {"plan", "evaluate"},
    {"pipeline"},
    {"outputs", "testing"},
    {"live"},
    {"api", "pairs"},
    {"cluster"},
)
ROW_OF = {room: row for row, rooms in enumerate(ROWS) for room in rooms}
TENSORS = {"nn", "engine", "train", "evaluate"}
BOTH = {"api"}
MAY_LOAD_TORCH_LAZILY = {"model"}
SETTINGS = (":open_bucket", ":check_bucket", ":upload_output", ":straight_into_bucket")
"""Functions whose `**settings` are those of an object store."""


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


def test_a_name_means_one_thing() -> None:
    """No two public classes of one name."""
    homes: dict[str, list[str]] = {}
    for path in sources():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(path.relative_to(ROOT).as_posix())
    assert not {name: found for name, found in homes.items() if len(found) > 1}


def public_functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Where it is, and each public function of the library."""
    for path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield f"{path.relative_to(ROOT).as_posix()}:{node.name}", node


def test_no_option_is_named_like_a_positional_parameter() -> None:
    """Where options travel as `**options`, one with the name of a positional parameter would be given twice."""
    from geo2map.api.converting import ConvertOptions
    from geo2map.model import ModelOptions
    from geo2map.outputs import OutputOptions
    from geo2map.plan import PlanOptions, Storage
    from geo2map.scene import ReadingOptions

    kinds = (ConvertOptions, ModelOptions, OutputOptions, PlanOptions, Storage, ReadingOptions)
    options = {field.name for kind in kinds for field in fields(kind)} | {"on_error"}
    positional = {
        where: {argument.arg for argument in node.args.args}
        for where, node in public_functions()
        if node.args.kwarg and where.startswith(("geo2map/api/", "geo2map/cluster/"))
    }
    assert len(positional) > 10
    clashes = {where: names & options for where, names in positional.items() if names & options}
    assert not {where: names for where, names in clashes.items() if not where.endswith(SETTINGS)}


def test_few_rooms() -> None:
    """Whoever opens the package sees few names."""
    names = {path.name for path in PACKAGE.iterdir()} - {"__init__.py", "py.typed", "__pycache__"}
    assert len(names) <= 25, sorted(names)


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
