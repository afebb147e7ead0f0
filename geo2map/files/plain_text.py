"""Text of any origin, reduced to what every format can contain."""

from __future__ import annotations

import re

# What XML 1.0 excludes: most control characters, half surrogates (from file names that are not UTF-8), noncharacters.
_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]")


def plain_text(text: str) -> str:
    """The text with "\N{REPLACEMENT CHARACTER}" for each character that XML or UTF-8 cannot hold."""
    return _UNSPEAKABLE.sub("\N{REPLACEMENT CHARACTER}", text)
