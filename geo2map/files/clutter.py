"""What programs and systems leave in people's folders, and nobody means."""

from __future__ import annotations

from pathlib import Path

_LEFT = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir", "system volume information"})


def is_clutter(path: Path) -> bool:
    """Whether a name is hidden (`.DS_Store`, macOS's `._sheet.tif`) or one of a system's own."""
    return path.name.startswith((".", "$RECYCLE")) or path.name.lower() in _LEFT
