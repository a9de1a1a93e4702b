"""A portal on 127.0.0.1 that replays CKAN's answers and a file's bytes, and can be told to fail."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PACKAGE_SHOW = "/api/3/action/package_show"


@dataclass
class Fault:
    """What the portal does with one request instead of answering it well."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut_after: int | None = (
        None  # send a good answer's head and this many of its bytes, then hang up
    )


@dataclass
class Published:
    """One resource of the portal: its bytes and what the portal says of them."""

    resource_id: str
    name: str
    content: bytes
    size: int | None = None
    hash: str = ""
    with_etag: bool = True
    last_modified: str | None = None
    listed_host: str = "https://e.data.gov.il"

    @property
    def path(self) -> str:
        return f"/dataset/0001/resource/{self.resource_id}/download/{self.name}"

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.content).hexdigest()}"'


class FakePortal:
    """The published resources, the faults queued per path, and what was asked and sent."""

    def __init__(self, package: str, published: list[Published]) -> None:
        self.package, self.published = package, published
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.file_bytes_sent = 0
        self.base_url = ""

    def asked(self, path: str) -> list[dict[str, str]]:
        """Headers of every request for a path, names in lower case."""
        return [headers for asked, headers in self.requests if asked == path]

    def package_show(self) -> bytes:
        resources = [
            {
                "id": each.resource_id,
                "name": each.name,
                "url": each.listed_host + each.path,
                "size": each.size,
                "hash": each.hash,
                "format": "CSV",
            }
            for each in self.published
        ]
        answer = {
            "help": "",
            "success": True,
            "result": {"name": self.package, "resources": resources},
        }
        return json.dumps(answer).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    portal: FakePortal

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.portal.requests.append(
            (path, {name.lower(): value for name, value in self.headers.items()})
        )
        fault = self.portal.faults[path].pop(0) if self.portal.faults[path] else None
        if fault and fault.cut_after is None:
            self._answer(fault.status, fault.headers, fault.body)
        elif path == PACKAGE_SHOW and query == f"id={self.portal.package}":
            self._answer(200, {"Content-Type": "application/json"}, self.portal.package_show())
        else:
            found = next((each for each in self.portal.published if each.path == path), None)
            if found is None:
                self._answer(404, {}, b'{"success": false, "error": {"__type": "Not Found Error"}}')
            else:
                self._file(found, fault.cut_after if fault else None)

    def _file(self, file: Published, cut_after: int | None) -> None:
        headers = {"Content-Type": "text/csv"} | ({"ETag": file.etag} if file.with_etag else {})
        if file.last_modified:
            headers["Last-Modified"] = file.last_modified
            if self.headers.get("If-Modified-Since") == file.last_modified:
                return self._answer(304, headers, b"")
        if file.with_etag and self.headers.get("If-None-Match") == file.etag:
            return self._answer(304, headers, b"")
        return self._answer(200, headers, file.content, cut_after, is_file=True)

    def _answer(
        self,
        status: int,
        headers: dict[str, str],
        body: bytes,
        cut_after: int | None = None,
        *,
        is_file: bool = False,
    ) -> None:
        self.send_response_only(status)  # no Date of its own: the clock has no say in these tests
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        sent = body[:cut_after]
        self.wfile.write(sent)
        self.portal.file_bytes_sent += len(sent) if is_file else 0
        self.close_connection = cut_after is not None

    def log_message(self, *_: object) -> None:
        """Keep the test's output quiet."""


@contextmanager
def serving(portal: FakePortal) -> Iterator[FakePortal]:
    """Serve the portal on a free port of 127.0.0.1."""
    handler = type("Handler", (_Handler,), {"portal": portal})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    portal.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield portal
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
