"""Files that programs and operating systems leave in folders."""

from __future__ import annotations

CLUTTER_FOLDERS = frozenset({"@eadir", ".appledouble", "__macosx"})
"""Names, in lower case, of folders whose contents an operating system can recreate."""
_FILES = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".directory", ".nomedia"})


def is_clutter(name: str) -> bool:
    """Whether a name is that of a file which operating systems put into any folder (macOS: `._sheet.tif`).

    Such a file may be deleted along with its folder.
    """
    return name.startswith("._") or name.lower() in _FILES | CLUTTER_FOLDERS


def is_passed_over(name: str) -> bool:
    """Whether a name is skipped when a folder is listed: it is hidden, clutter, or a system folder of Windows."""
    return name.startswith((".", "$RECYCLE")) or name.lower() == "system volume information" or is_clutter(name)
