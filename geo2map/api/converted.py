"""The result of a conversion."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from geo2map.pipeline.report import complete_note


@dataclass(frozen=True)
class Converted:
    """Result of a conversion.

    Attributes:
        out: path of the output, as given.
        complete: whether the same conversion had been completed before, and the output left untouched.
        since: library versions changed since then, in words.
        notes: what a user should know of it, sentences.
    """

    out: str
    complete: bool = False
    since: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        said = f"{self.out}: {complete_note(self.since)}" if self.complete else self.out
        return "\n".join([*self.notes, said])
