"""Lists the keywords of calls such as `geo2map.render` one by one on the page python.md; an extension of griffe."""

from __future__ import annotations

from typing import Any

from griffe import Class, UnpackTypedDictExtension


class InheritedKeywords(UnpackTypedDictExtension):
    """`**options: Unpack[Keywords]` as single parameters, those of the dictionary's bases included.

    Griffe's own extension also turns the attributes of each TypedDict into parameters of an `__init__`, and with that
    takes them from the dictionaries derived from it.
    """

    def on_class(self, *, cls: Class, **kwargs: Any) -> None:
        """Leave the attributes where they are."""
