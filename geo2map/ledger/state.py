"""Progress of an output, and the seal of a finished one."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Stage(StrEnum):
    """Progress of an output."""

    MAKING = "making"
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    """Published; the workspace stays for a run that renders the pending blocks."""


class Seal(NamedTuple):
    """Size and content of a finished file, or of a finished folder of converted tiles.

    Attributes:
        size: bytes of a file, tiles of a folder.
        content: see `geo2map.ledger.content.content_digest`.
    """

    size: int
    content: str
