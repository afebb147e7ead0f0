"""Pages of the site that lie outside docs/, links between the repository's files, and bars in tables.

Pages are written for readers of the repository: a link is a path relative to the file. Here each is resolved in the
repository; what the site shows becomes a link within it, anything else one to the repository's address. A bar in code
in a table is escaped, as GitHub wants it; Python-Markdown would print the backslash.
"""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PROJECT = ("ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
ROW = re.compile(r"(?m)^\|.*$")
CODE = re.compile(r"`[^`]*`")
LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)\s#]+)")


def _included() -> dict[str, str]:
    """Pages of the site by the repository's files, for those outside docs/."""
    lab = {path.name for path in (ROOT / "examples" / "lab").glob("*.md")} - {"README.md"}
    pages = {f"examples/lab/{name}": f"lab/{name}" for name in lab} | {"examples/lab/README.md": "lab/index.md"}
    return pages | {name: f"project/{name.lower()}" for name in PROJECT}


INCLUDED = _included()
HOMES = {page: file for file, page in INCLUDED.items()}


def repository() -> str:
    """The repository's address."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        address: str = tomllib.load(file)["project"]["urls"]["Homepage"]
    return address.removesuffix("/")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the diaries of the lab below its first page."""
    research = next(section["Research"] for section in config.nav or [] if "Research" in section)
    research += sorted(page for page in HOMES if page.startswith("lab/") and page != "lab/index.md")
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages from outside docs/."""
    for file, page in INCLUDED.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / file)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Rewrite the page for the site."""
    bare = ROW.sub(lambda row: CODE.sub(lambda code: code[0].replace(r"\|", "|"), row[0]), markdown)
    return relink(bare, page.file.src_uri, HOMES)


def relink(markdown: str, page: str, homes: Mapping[str, str]) -> str:
    """The page with links for the site.

    Args:
        page: path in the site's sources, e.g. "outputs.md".
        homes: files of the repository by page, for pages from outside docs/.
    """
    home = homes.get(page, f"docs/{page}")
    pages = {file: name for name, file in homes.items()}

    def resolved(link: re.Match[str]) -> str:
        file = posixpath.normpath(posixpath.join(posixpath.dirname(home), link[1]))
        if not (ROOT / file).exists():
            return link[1]  # of a page that the build makes, or broken: the build decides
        if file in pages or file.startswith("docs/"):
            return posixpath.relpath(pages.get(file, file.removeprefix("docs/")), posixpath.dirname(page) or ".")
        return f"{repository()}/{'tree' if (ROOT / file).is_dir() else 'blob'}/main/{file}"

    return LINK.sub(resolved, markdown)
