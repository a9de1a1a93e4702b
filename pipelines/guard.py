"""A door before the product's servers: they answer their own page, and nobody else's.

A browser sends what any page asks it to, to this machine too. So each request must be meant for
this server (`Host`: no other name that leads here, as in DNS rebinding) and come from its own page
(`Origin`, `Sec-Fetch-Site`); nothing is changed by following a link (a GraphQL operation goes by
POST alone); and where others than this machine are listened to, who asks must know the token.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qs

import uvicorn
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.settings.yaml_files import CityError

TOKEN, SERVED_AS, VIEW = "TIKKUN_TOKEN", "TIKKUN_SERVED_AS", "TIKKUN_VIEW"
"""Environment: what who asks must know; names the server has outside (`https://a.example`,
separated by commas); whether it only shows.
"""
LOGIN = "/tikkun-login"
_LEAST_TOKEN = 32
_LONGEST_LOGIN = 4096  # bytes
_GRACE_SECONDS = 5
_OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")
_HEADERS = {
    "content-security-policy": "frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


class Guard:
    """ASGI middleware that refuses what no page of the server asks for.

    Attributes:
        origins: the origins of its own pages, such as `http://127.0.0.1:3000`.
        token: what who asks must know; None where only this machine is listened to.
    """

    def __init__(self, app: ASGIApp, origins: frozenset[str], token: str | None = None) -> None:
        self._app, self.origins, self.token = app, origins, token
        self._hosts = {origin.partition("://")[2] for origin in origins}
        self._session = secrets.token_urlsafe(32)
        self._cookie = "tikkun_" + secrets.token_hex(4)  # cookies know no ports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, refuse, or let the server answer."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refused = self._refused(HTTPConnection(scope))
        if refused is None and self.token is not None:
            refused = await self._asked_to_log_in(scope, receive)
        if refused is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "http":
            await refused(scope, receive, _with_headers(send))
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    def _refused(self, asked: HTTPConnection) -> Response | None:
        headers = asked.headers
        if headers.get("host", "").lower() not in self._hosts:
            return _said(
                421,
                "This server has another name; open the address that it printed when it started.",
                "לשרת זה שם אחר; יש לפתוח את הכתובת שנכתבה כשהופעל.",
            )
        if not self._is_own(headers, asked.scope):
            return _said(
                403,
                "This was asked by a page of another site, and is not answered.",
                "הבקשה באה מדף של אתר אחר, ולא תיענה.",
            )
        method = asked.scope.get("method", "GET")
        is_graphql = asked.scope["path"].rstrip("/").endswith("/graphql")
        if is_graphql and method != "POST" and asked.scope["type"] == "http" and asked.query_params:
            return _said(
                405,
                "Queries are sent by POST: a link changes nothing.",
                "שאילתות נשלחות ב-POST בלבד: קישור אינו משנה דבר.",
            )
        return None

    def _is_own(self, headers: Headers, scope: Scope) -> bool:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and origin.lower() not in self.origins:
            return False
        # An image or a script of another page brings no origin. A link that is followed is all
        # right, as it may only show.
        if site in ("cross-site", "same-site"):
            is_link = (
                headers.get("sec-fetch-mode") == "navigate"
                and headers.get("sec-fetch-dest") == "document"
            )
            return scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and is_link
        return True

    async def _asked_to_log_in(self, scope: Scope, receive: Receive) -> Response | None:
        """Return what to answer who has not shown the token; None for who has."""
        asked = HTTPConnection(scope)
        scheme, _, shown = asked.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(shown):
            return None
        if secrets.compare_digest(
            asked.cookies.get(self._cookie, "").encode(), self._session.encode()
        ):
            return None
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == LOGIN:
            body = b""
            async for part in Request(scope, receive).stream():
                body += part
                if len(body) > _LONGEST_LOGIN:
                    break
            if self._is_token(parse_qs(body.decode("latin-1")).get("token", [""])[0]):
                entered = RedirectResponse("/", status_code=303)
                is_encrypted = asked.headers.get("origin", "").startswith("https")
                entered.set_cookie(
                    self._cookie,
                    self._session,
                    httponly=True,
                    samesite="strict",
                    secure=is_encrypted,
                )
                return entered
        return HTMLResponse(_LOGIN_PAGE, status_code=401)

    def _is_token(self, shown: str) -> bool:
        return secrets.compare_digest(shown.encode(), (self.token or "").encode())


_LOGIN_PAGE = f"""<!doctype html><html lang="he" dir="rtl"><meta charset="utf-8">
<title>כניסה</title><main><h1>כניסה</h1>
<form method="post" action="{LOGIN}"><label>מילת הכניסה שקבע מי שמפעיל את השרת
<input name="token" type="password" autocomplete="current-password" required></label>
<button>כניסה</button></form>
<p lang="en" dir="ltr">The token is what whoever runs this server has set as {TOKEN}.</p></main>
</html>"""


def _said(status: int, en: str, he: str) -> Response:
    return Response(f"{en}\n{he}\n", status_code=status, media_type="text/plain; charset=utf-8")


def _with_headers(send: Send) -> Send:
    """Add that no other page may frame or read what is answered."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            del headers["access-control-allow-origin"]
            for name, value in _HEADERS.items():
                headers.append(name, value)
        await send(message)

    return sent


def guarded(app: ASGIApp, host: str, port: int, environment: Mapping[str, str]) -> Guard:
    """Put the door before a server.

    Args:
        app: the server.
        host: the address it listens on.
        port: its port.
        environment: `TIKKUN_TOKEN`, `TIKKUN_SERVED_AS`.

    Raises:
        CityError: if others than this machine are listened to and there is no token of at least 32
            characters, or a name is none.
    """
    token = environment.get(TOKEN, "").strip() or None
    if (token is not None or not _is_this_machine(host)) and len(token or "") < _LEAST_TOKEN:
        raise CityError(
            f"{host}: whoever reaches this address could read and start runs. Set {TOKEN} to at"
            f" least {_LEAST_TOKEN} random characters, or listen on 127.0.0.1.",
            f"{host}: כל מי שמגיע לכתובת זו יוכל לקרוא ולהפעיל. יש לקבוע את {TOKEN} (לפחות"
            f" {_LEAST_TOKEN} תווים אקראיים), או להאזין ל-127.0.0.1.",
        )
    named = [one.strip().rstrip("/").lower() for one in environment.get(SERVED_AS, "").split(",")]
    for one in filter(None, named):
        scheme, _, rest = one.partition("://")
        if scheme not in ("http", "https") or not rest or set(rest) & set("/?#@ *"):
            raise CityError(
                f"{SERVED_AS}: '{one}' is no origin; write it as https://tikkun.example.org.",
                f"{SERVED_AS}: '{one}' אינו כתובת; יש לכתוב כמו https://tikkun.example.org.",
            )
    listened = f"[{host}]" if ":" in host else host
    own = {f"http://{name}:{port}" for name in (*_OWN_NAMES, listened.lower())}
    return Guard(app, frozenset(own | set(filter(None, named))), token)


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(app: ASGIApp, host: str, port: int) -> None:
    """Serve behind the door until told to end.

    Raises:
        CityError: as `guarded` does.
    """
    uvicorn.run(
        guarded(app, host, port, os.environ),
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
