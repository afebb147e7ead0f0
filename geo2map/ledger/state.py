"""How far an output is, and what a finished one has to be."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Stage(StrEnum):
    """How far an output is."""

    MAKING = "making"
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    """It has its name, and its tiles are kept for a run that renders the blocks which are still pending."""


class Seal(NamedTuple):
    """What a finished file, or a finished folder of converted tiles, has to be.

    Attributes:
        size: bytes of a file, tiles of a folder.
        content: its digest, see `geo2map.ledger.content.content_digest`.
    """

    size: int
    content: str
