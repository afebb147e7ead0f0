"""The manual as a site: built strictly, complete, and read without a network."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from runpy import run_path

import click
import pytest
from geo2map_cli.main import COMMANDS, cli

import geo2map
from geo2map.api.keywords import RenderKeywords

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


class _Page(HTMLParser):
    """Addresses that a page loads, and the names of its places.

    Attributes:
        loaded: what the browser fetches by itself.
        ids: of the elements.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.ids: Counter[str] = Counter()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag != "a":
            self.loaded += [values[name] for name in ("href", "src", "srcset", "data", "poster") if name in values]
        if "id" in values:
            self.ids[values["id"]] += 1


def test_nothing_is_loaded_from_elsewhere(manual: Path) -> None:
    pages = list(manual.rglob("*.html"))
    assert len(pages) > 25
    for path in pages:
        loaded = _Page(path).loaded
        assert any(address.endswith(".css") for address in loaded), path
        assert not [address for address in loaded if re.match(r"(https?:)?//", address)], path
    for path in manual.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", path.read_text(encoding="utf-8")), path


def commands() -> dict[str, click.Command]:
    """Every command and subcommand by its full name."""
    root = click.Context(cli, info_name="geo2map")
    found = {f"geo2map {name}": cli.get_command(root, name) for name in COMMANDS}
    groups = {name: group for name, group in found.items() if isinstance(group, click.Group)}
    parts = {f"{name} {part}": command for name, group in groups.items() for part, command in group.commands.items()}
    return {name: command for name, command in (found | parts).items() if command is not None}


def test_every_command_has_a_section_with_its_options(manual: Path) -> None:
    text = (manual / "cli.html").read_text(encoding="utf-8")
    ids = _Page(manual / "cli.html").ids
    sections = re.split(r'<h[2-4] id="', text)
    for name, command in commands().items():
        anchor = name.replace(" ", "-")
        assert ids[anchor] == 1, name
        section = next(part for part in sections if part.startswith(f'{anchor}"'))
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden and "--help-all" not in option.opts:
                assert all(f">{word}" in section or f" {word}" in section for word in option.opts), (name, option.opts)


def test_every_public_name_has_an_entry(manual: Path) -> None:
    ids = _Page(manual / "python.html").ids
    assert {f"geo2map.{name}" for name in geo2map.__all__} <= ids.keys()
    text = (manual / "python.html").read_text(encoding="utf-8")
    render = text[text.index('id="geo2map.render"') : text.index('id="geo2map.render_each"')]
    for name in RenderKeywords.__annotations__:
        assert re.search(rf"<code>{name}</code>", render), f"{name} has no line of its own"


def test_pages_from_outside_docs_are_included(manual: Path) -> None:
    assert {path.stem for path in (manual / "lab").glob("*.html")} == {
        "index" if path.stem == "README" else path.stem for path in (ROOT / "examples" / "lab").glob("*.md")
    }
    assert (manual / "project" / "security.html").is_file()


def test_code_in_tables_has_bars(manual: Path) -> None:
    """GitHub wants them escaped, the site not."""
    for path in manual.rglob("*.html"):
        assert not re.search(r"<code>[^<]*\\\|", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("models.md", "../examples/lab/lean.md#crisp", "lab/lean.md#crisp"),
        ("models.md", "outputs.md#tiled--whole", "outputs.md#tiled--whole"),
        (
            "models.md",
            "../examples/render_scene.py",
            "https://github.com/geo2map/geo2map/blob/main/examples/render_scene.py",
        ),
        ("lab/index.md", "../../docs", "https://github.com/geo2map/geo2map/tree/main/docs"),
        ("lab/index.md", "lean.md", "lean.md"),
        ("lab/lean.md", "../../docs/models.md", "../models.md"),
        ("project/security.md", "docs/scenes.md", "../scenes.md"),
        ("models.md", "https://example.org/x.md", "https://example.org/x.md"),
        ("models.md", "../examples/no.md", "../examples/no.md"),
    ],
)
def test_links_are_resolved_in_the_repository(page: str, link: str, expected: str) -> None:
    pytest.importorskip("mkdocs", reason="needs the extra [docs]")
    links = run_path(str(ROOT / "docs" / "_site" / "links.py"))
    assert links["relink"](f"see [it]({link}).", page, links["HOMES"]) == f"see [it]({expected})."
