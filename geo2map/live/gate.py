"""Access by token, as pure ASGI, so that a client's leaving is noticed behind it."""

from __future__ import annotations

from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geo2map.live.answers import refusal

COOKIE = "geo2map"
OPEN_TO_ALL = "/healthz"


class TokenGate:
    """Requires the token of every request: as `Authorization: Bearer TOKEN`, as `?token=TOKEN`, or as the cookie that
    the page gets when it is opened with the latter."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        asked = request.query_params.get("token")
        if self._token is not None and scope["path"] != OPEN_TO_ALL and not self._may_enter(request, asked):
            response = refusal(401, "this server requires a token: add ?token=...", {"WWW-Authenticate": "Bearer"})
            await response(scope, receive, self._sending(send, None))
            return
        cookie = asked if self._token is not None and scope["path"] == "/" else None
        await self._app(scope, receive, self._sending(send, cookie))

    def _may_enter(self, request: Request, asked: str | None) -> bool:
        given = [asked, request.headers.get("authorization", "").removeprefix("Bearer "), _cookie(request)]
        own = (self._token or "").encode()
        return any(compare_digest(own, word.encode(errors="replace")) for word in given if word)

    @staticmethod
    def _sending(send: Send, cookie: str | None) -> Send:
        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                if cookie:
                    headers.append("Set-Cookie", f"{COOKIE}={cookie}; Path=/; HttpOnly; SameSite=Strict")
            await send(message)

        return wrapped


def _cookie(request: Request) -> str | None:
    try:
        found = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value
