"""What programs and systems leave in people's folders, and nobody means."""

from __future__ import annotations

CLUTTER_FOLDERS = frozenset({"@eadir", ".appledouble", "__macosx"})
"""Names, in small letters, of folders with nothing in them but what a system can make again."""
_FILES = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".directory", ".nomedia"})


def is_clutter(name: str) -> bool:
    """Whether a name is one that systems give to what they put into any folder for themselves (macOS: `._sheet.tif`).

    Such a thing may be deleted along with the folder that it lies in.
    """
    return name.startswith("._") or name.lower() in _FILES | CLUTTER_FOLDERS


def is_passed_over(name: str) -> bool:
    """Whether nobody means a name where a folder is given: it is hidden, clutter, or what Windows keeps on a drive."""
    return name.startswith((".", "$RECYCLE")) or name.lower() == "system volume information" or is_clutter(name)
