"""A PMTiles archive by byte ranges, as pages of other origins read it."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from geo2map.live.answers import refusal

MEDIA_TYPE = "application/vnd.pmtiles"
_SENTENCES = {
    400: "malformed byte range: send e.g. Range: bytes=0-16383",
    416: "the archive ends before this byte range: see Content-Range for its length",
}


class ArchiveResponse(FileResponse):
    """A file and its byte ranges; an invalid range is refused in one sentence."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            OSError: it is gone.
        """
        super().__init__(path, media_type=MEDIA_TYPE, stat_result=path.stat())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = False

        async def checked(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in _SENTENCES:
                refused = True
                kept = {name.decode(): text.decode() for name, text in message["headers"] if name == b"content-range"}
                answer = refusal(message["status"], _SENTENCES[message["status"]], kept)
                await answer(scope, receive, send)
            elif not refused:
                await send(message)

        await super().__call__(scope, receive, checked)
