"""The QGIS plugin without QGIS: how it starts geo2map, what it passes on, how it stops, and where it is installed.

`tests/conformance/test_qgis_processing.py` runs it in a real one.
"""

from __future__ import annotations

import configparser
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
import types
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from geo2map_cli.qgis_profile import PLUGIN, find_profiles, install_plugin, write_plugin_zip

from geo2map import __version__
from geo2map.errors import OutputError, SetupError

Command = Callable[..., Any]
FAKE = """
import json, os, signal, sys, time
words = sys.argv[1:]
with open(os.environ["FAKE_LOG"], "a", encoding="utf-8") as log:
    print(json.dumps([words, sorted(os.environ)]), file=log)
if words[0] == "clean":
    sys.exit()
print("a note", file=sys.stderr)
for done in (1, 2):
    print(json.dumps({"stage": "blocks", "done": done, "total": 4, "seconds_left": 1.0}), file=sys.stderr, flush=True)
if words[0] == "fail":
    sys.exit("geo2map: x.tif: not found; check the path")
if words[0] == "hang":
    time.sleep(600)
if words[0] == "talk":
    print("x" * 200_000, file=sys.stderr)
print(json.dumps({"path": "out.tif"}))
"""


def load(name: str) -> Any:
    """A module of the plugin, as QGIS imports it: from a folder of its own."""
    if "geo2map_plugin" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "geo2map_plugin", PLUGIN / "__init__.py", submodule_search_locations=[str(PLUGIN)]
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules["geo2map_plugin"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return importlib.import_module(f"geo2map_plugin.{name}")


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that starts processes; geo2map is a script that logs what it got."""
    module = load("running")
    (tmp_path / "fake.py").write_text(FAKE, encoding="utf-8")
    command = tmp_path / "command.json"
    command.write_text(json.dumps([sys.executable, str(tmp_path / "fake.py")]), encoding="utf-8")
    monkeypatch.setattr(module, "COMMAND", command)
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    return module


def logged(folder: Path) -> list[tuple[list[str], set[str]]]:
    """Words and names of variables of each process."""
    lines = (folder / "log").read_text(encoding="utf-8").splitlines()
    return [(words, set(names)) for words, names in map(json.loads, lines)]


def test_progress_and_messages_are_passed_on(running: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONHOME", "PYTHONEXECUTABLE", "PROJ_LIB", "GDAL_DATA", "QGIS_PREFIX_PATH"):
        monkeypatch.setenv(name, "/nowhere")
    told, advanced = [], []
    report = running.run(["render"], "out.tif", told.append, lambda *step: advanced.append(step), lambda: False)
    assert report == {"path": "out.tif"}
    assert (told, advanced) == (["a note"], [("blocks", 0.25), ("blocks", 0.5)])
    [(words, names)] = logged(tmp_path)
    assert words == ["render", "--json"]
    assert {"PATH", "FAKE_LOG"} <= names
    assert not names & {"PYTHONHOME", "PYTHONEXECUTABLE", "PROJ_LIB", "GDAL_DATA", "QGIS_PREFIX_PATH"}


def test_a_failure_has_the_sentence_of_geo2map(running: Any) -> None:
    with pytest.raises(running.CommandFailedError, match=r"^geo2map: x.tif: not found; check the path$"):
        running.run(["fail"], "out.tif", [].append, lambda *_: None, lambda: False)


def test_a_talkative_process_is_not_blocked(running: Any) -> None:
    told: list[str] = []
    running.run(["talk"], "out.tif", told.append, lambda *_: None, lambda: False)
    assert len(told[-1]) == 200_000


def test_cancelling_ends_the_process_and_deletes_what_it_left(running: Any, tmp_path: Path) -> None:
    pressed = threading.Event()
    started = time.monotonic()
    with pytest.raises(running.CommandCancelledError):
        running.run(["hang"], "out.tif", [].append, lambda *_: pressed.set(), pressed.is_set)
    assert time.monotonic() - started < 300  # the process would sleep for 600
    assert [words for words, _ in logged(tmp_path)] == [["hang", "--json"], ["clean", "out.tif"]]


def test_what_is_not_installed_is_said(running: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running.COMMAND.write_text(json.dumps([str(tmp_path / "gone"), "-m", "geo2map_cli"]), encoding="utf-8")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(running.CommandFailedError, match="geo2map qgis-install"):
        running.find_command()


def test_folders_of_qgis_leave_the_path(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pathsep", ";")
    windows = [r"C:\OSGeo4W64\bin", r"C:\Program Files\QGIS 3.34.1\apps\Qt5\bin", r"C:\Windows", r"D:\maps"]
    cleaned = running.clean_environment({"Path": ";".join(windows), "PythonHome": "x", "GDAL_HTTP_PROXY": "proxy:80"})
    assert cleaned == {"Path": r"C:\Windows;D:\maps", "GDAL_HTTP_PROXY": "proxy:80"}


class _Stub(types.ModuleType):
    """A module of PyQGIS that has every class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (), {"__init__": lambda *_, **__: None, "addParameter": lambda *_: None})
        setattr(self, name, made)
        return made


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], Any]]:
    """The plugin's package, imported under a `qgis` with the classes of a given QtGui."""

    def imported(gui: Any) -> Any:
        names = {"qgis": _Stub("qgis"), "qgis.core": _Stub("qgis.core"), "qgis.PyQt": _Stub("qgis.PyQt")}
        for name, module in {**names, "qgis.PyQt.QtGui": gui}.items():
            monkeypatch.setitem(sys.modules, name, module)
        return load("plugin")

    yield imported
    for name in [name for name in sys.modules if name.startswith("geo2map_plugin")]:
        del sys.modules[name]


def test_it_imports_without_qt(stub: Callable[[Any], Any]) -> None:
    plugin = stub(_Stub("qgis.PyQt.QtGui"))
    assert sys.modules["geo2map_plugin"].classFactory(None).provider is None
    added: list[Any] = []
    provider = plugin.Geo2MapProvider()
    provider.addAlgorithm = added.append
    provider.loadAlgorithms()
    assert [f"{provider.id()}:{algorithm.name()}" for algorithm in added] == [
        *("geo2map:render", "geo2map:preview", "geo2map:vectors")
    ]
    for algorithm in added:
        algorithm.initAlgorithm()
        assert algorithm.createInstance().displayName() == algorithm.displayName()


@pytest.mark.slow
def test_it_imports_with_qt_6(stub: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    gui = pytest.importorskip("PyQt6.QtGui", reason="PyQt6 is not installed")
    assert not stub(gui).Geo2MapProvider().icon().isNull()


def test_it_is_put_into_a_profile_and_enabled(geo2map: Command, tmp_path: Path) -> None:
    profile = tmp_path / "QGIS" / "QGIS3" / "profiles" / "default"
    settings = profile / "QGIS" / "QGIS3.ini"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        "[UI]\nstate=@ByteArray(\\0\\x1)\n\n[PythonPlugins]\nother=true\ngeo2map=false\n", encoding="utf-8"
    )
    for _ in range(2):
        result = geo2map("qgis-install", "--profile", profile)
        assert result.code == 0, result.err
    folder = profile / "python" / "plugins" / "geo2map"
    assert str(folder) in result.out
    copied = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert {"__init__.py", "metadata.txt", "LICENSE", "running.py", "command.json"} <= copied
    assert not any("__pycache__" in name for name in copied)
    assert json.loads((folder / "command.json").read_text(encoding="utf-8")) == [sys.executable, "-m", "geo2map_cli"]
    assert settings.read_text(encoding="utf-8").splitlines() == [
        *("[UI]", "state=@ByteArray(\\0\\x1)", "", "[PythonPlugins]", "geo2map=true", "other=true")
    ]


def test_a_profile_without_settings_gets_some(tmp_path: Path) -> None:
    profile = tmp_path / "QGIS4" / "profiles" / "default"
    profile.mkdir(parents=True)
    install_plugin(profile)
    assert (profile / "QGIS" / "QGIS4.ini").read_text(encoding="utf-8") == "[PythonPlugins]\ngeo2map=true\n"


def test_another_plugin_of_the_name_is_left(tmp_path: Path) -> None:
    other = tmp_path / "python" / "plugins" / "geo2map" / "main.py"
    other.parent.mkdir(parents=True)
    other.write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="another plugin of this name"):
        install_plugin(tmp_path)
    assert other.exists()


@pytest.mark.parametrize(
    ("platform", "variables", "place"),
    [
        ("linux", {}, ".local/share"),
        ("linux", {"XDG_DATA_HOME": "data"}, "data"),
        ("darwin", {}, "Library/Application Support"),
        ("win32", {"APPDATA": "roaming"}, "roaming"),
    ],
)
def test_profiles_are_found_where_qgis_keeps_them(
    platform: str, variables: dict[str, str], place: str, tmp_path: Path
) -> None:
    environment = {name: str(tmp_path / value) for name, value in variables.items()}
    with pytest.raises(SetupError, match="start QGIS once"):
        find_profiles(environment, tmp_path, platform)
    profiles = [tmp_path / place / "QGIS" / version / "profiles" / "default" for version in ("QGIS3", "QGIS4")]
    for profile in profiles:
        profile.mkdir(parents=True)
    assert find_profiles(environment, tmp_path, platform) == profiles


def test_the_zip_is_what_the_plugin_site_takes(geo2map: Command, tmp_path: Path) -> None:
    """One folder; no path of this machine; the same bytes each time."""
    packed = tmp_path / "geo2map.zip"
    result = geo2map("qgis-install", "--zip", packed)
    assert result.code == 0, result.err
    with zipfile.ZipFile(packed) as archive:
        names = archive.namelist()
        metadata = archive.read("geo2map/metadata.txt").decode()
    assert {name.split("/")[0] for name in names} == {"geo2map"}
    assert {"geo2map/__init__.py", "geo2map/LICENSE", "geo2map/icon.svg"} <= set(names)
    assert not [name for name in names if "command.json" in name or "__pycache__" in name]
    before = packed.read_bytes()
    write_plugin_zip(packed)
    assert packed.read_bytes() == before
    facts = configparser.ConfigParser(interpolation=None)
    facts.read_string(metadata)
    general = facts["general"]
    assert general["version"] == __version__
    assert (general["hasProcessingProvider"], general["supportsQt6"]) == ("yes", "True")
    assert (general["qgisMinimumVersion"], general["qgisMaximumVersion"]) == ("3.22", "4.99")
    assert geo2map("qgis-install", "--zip", packed, "--profile", tmp_path).code == 2


def test_it_needs_nothing_but_pyqgis() -> None:
    """No package is put into the Python of QGIS; old ones lack what came after Python 3.9."""
    import ast

    for path in PLUGIN.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                roots = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                roots = {str(node.module).split(".")[0]}
            else:
                continue
            assert roots <= {*sys.stdlib_module_names, "qgis"}, path.name


def test_bandit_finds_nothing() -> None:
    """As plugins.qgis.org looks at uploads, and stricter: from low severity on."""
    if importlib.util.find_spec("bandit") is None:
        pytest.skip("bandit is not installed")
    told = subprocess.run(
        [sys.executable, "-m", "bandit", "-q", "-r", str(PLUGIN)], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout
