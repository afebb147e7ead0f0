"""CORS: which requests scripts of other origins may make, and what they may read."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from geo2map.live.answers import refusal

METHODS = ("GET", "HEAD")
ASKED = ("Authorization", "Cache-Control", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range", "Range")
"""Request headers that need a preflight: byte ranges of an archive, conditions, the token."""
TOLD = ("ETag", "Content-Range", "Content-Length", "Accept-Ranges", "Last-Modified")
"""Response headers that scripts may read."""


class OtherOrigins(CORSMiddleware):
    """Lets any page read what is served, and refuses other requests in one sentence."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            app, allow_origins=["*"], allow_methods=METHODS, allow_headers=list(ASKED), expose_headers=list(TOLD)
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        kept = {name: text for name, text in response.headers.items() if name not in ("content-length", "content-type")}
        allowed = f"{' and '.join(METHODS)} with the headers {', '.join(ASKED)}"
        return refusal(response.status_code, f"not allowed for pages of other origins: use {allowed}", kept)
