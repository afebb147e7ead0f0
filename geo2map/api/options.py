"""The keywords of the public calls, sorted to where they belong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any, Self, get_args

from geo2map.errors import PlanError
from geo2map.ledger import OutputOptions
from geo2map.pipeline.blocks import OnError
from geo2map.plan import PlanOptions, Storage
from geo2map.scene import ReadingOptions


@dataclass(frozen=True, kw_only=True)
class RenderOptions:
    """Everything that a user may choose of a run but the model; refused at construction where it makes no sense.

    Attributes:
        reading: how scenes are read.
        planning: what is made of them.
        storage: how tiles are stored.
        output: what to do with an output that is there.
        on_error: "fail" or "skip", see `geo2map.run`.
    """

    reading: ReadingOptions
    planning: PlanOptions
    storage: Storage
    output: OutputOptions
    on_error: OnError = "fail"

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Sorts keywords by the fields of the four.

        Raises:
            TypeError: a keyword that none of them knows.
            Geo2MapError: a value that makes no sense.
        """
        rest = dict(options)
        on_error = rest.pop("on_error", "fail")
        if on_error not in get_args(OnError):
            raise PlanError(
                f"on_error {on_error!r} is not known: give {' or '.join(get_args(OnError))}",
                option="on_error",
                usage=True,
            )
        groups: dict[str, Any] = {}
        for name, kind in _GROUPS.items():
            known = signature(kind).parameters
            groups[name] = kind(**{key: rest.pop(key) for key in list(rest) if key in known})
        if rest:
            raise TypeError(f"unknown options: {', '.join(sorted(rest))}")
        return cls(**groups, on_error=on_error)


_GROUPS: dict[str, type] = {
    "reading": ReadingOptions,
    "planning": PlanOptions,
    "storage": Storage,
    "output": OutputOptions,
}
