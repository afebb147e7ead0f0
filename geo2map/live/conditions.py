"""Conditional requests, as RFC 9110 has them: what a client may be told without being sent it again."""

from __future__ import annotations

import re
from typing import Literal

from starlette.datastructures import Headers

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
"""An entity tag; commas may be within it."""


def precondition_status(headers: Headers, tag: str) -> Literal[200, 304, 412]:
    """What a request's conditions ask for, of something that exists: to send it, to say that the client has it, or to
    refuse, since it is not what the client takes it for. If-Match comes first (section 13.2.2).

    Args:
        tag: of what exists, without quotation marks; a strong one.
    """
    if (wanted := listed(headers, "if-match")) and not _lists(wanted, tag, weakly=False):
        return 412
    return 304 if _lists(listed(headers, "if-none-match"), tag, weakly=True) else 200


def listed(headers: Headers, name: str) -> str:
    """The list that a header has, which may come in several lines; "" where there is none."""
    return ", ".join(headers.getlist(name)).strip()


def _lists(text: str, tag: str, *, weakly: bool) -> bool:
    """Whether a list of tags has one. Weak ones are equal for reading (If-None-Match), not for changing (If-Match)."""
    if text == "*":
        return True
    return any(found == tag and (weakly or not weak) for weak, found in _TAG.findall(text))
