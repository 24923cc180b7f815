"""Requests over http(s), to stores that are web servers: checked addresses, few redirects, errors in our words."""

import base64
import http.client
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from modelway_runtime import __version__
from modelway_runtime.fetch import addresses
from modelway_runtime.fetch.source import Changed, Pieces, Reading, Span, Transient, shown
from modelway_runtime.reasons import Failure, Reason

_CHUNK = 1 << 20
_CONNECT_SECONDS = 5.0
_SILENCE_SECONDS = 15.0
_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429)
_FINAL = {
    401: Reason.CREDENTIALS_DENIED,
    403: Reason.CREDENTIALS_DENIED,
    404: Reason.ARTIFACT_NOT_FOUND,
    410: Reason.ARTIFACT_NOT_FOUND,
}
_SECRET_HEADERS = ("authorization", "cookie")


@dataclass(slots=True, kw_only=True)
class Answer:
    """A status, the headers with names in lower case, and the body while it comes."""

    url: str
    status: int
    headers: Mapping[str, str]
    pieces: Pieces

    def body(self, limit: int) -> bytes:
        """The whole body; raises Failure when it is longer than the limit."""
        found = bytearray()
        with closing(self.pieces):
            for piece in self.pieces:
                found += piece
                if len(found) > limit:
                    raise Failure(Reason.ARTIFACT_TOO_LARGE, f"{shown(self.url)} answers with more than {limit} bytes")
        return bytes(found)


def get(url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> Answer:
    """The answer behind at most five redirects, whatever its status; none of them may change the scheme.

    Another host than the first is told no credentials.
    """
    sent = {"User-Agent": f"modelway-runtime/{__version__}", "Accept": "*/*", **(headers or {})}
    first = _split(url)
    for _ in range(_MAX_REDIRECTS + 1):
        parts = _split(url)
        is_first = (parts.hostname, parts.port) == (first.hostname, first.port)
        kept = {name: value for name, value in sent.items() if is_first or name.lower() not in _SECRET_HEADERS}
        answer = _asked(url, parts, kept, method)
        if answer.status not in _REDIRECTS or "location" not in answer.headers:
            return answer
        answer.pieces.close()
        url = _followed(url, answer.headers["location"])
    raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(url)} redirects more than {_MAX_REDIRECTS} times")


def send(method: str, url: str, headers: Mapping[str, str], body: BinaryIO | None) -> Answer:
    """The answer to a body, whatever its status; without redirects, which would send it twice."""
    sent = {"User-Agent": f"modelway-runtime/{__version__}", "Accept": "*/*", **headers}
    return _asked(url, _split(url), sent, method, body)


def opened(url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> Answer:
    """The same, where only a success is of use."""
    answer = get(url, headers, method=method)
    check(answer)
    return answer


def check(answer: Answer) -> None:
    """Raises for a status that is no success."""
    if 200 <= answer.status < 300:
        return
    answer.pieces.close()
    words = f"{answer.status} {http.client.responses.get(answer.status, '')}".strip()
    if answer.status >= 500 or answer.status in _PASSING:
        raise Transient(f"{shown(answer.url)}: {words}")
    reason = _FINAL.get(answer.status, Reason.DOWNLOAD_TIMEOUT)
    raise Failure(reason, f"{shown(answer.url)} was refused: {words}")


def read(url: str, span: Span, version: str, headers: Mapping[str, str] | None = None) -> Reading:
    """A span of a file, or the file where the server knows no spans or where its version is another one.

    A version is a strong ETag or else the time of the last change; without either a server cannot be asked for the rest
    of the same file.
    """
    sent = dict(headers or {}) | {"Accept-Encoding": "identity"}
    if not span.is_whole:
        sent["Range"] = f"bytes={span.start}-{'' if span.stop is None else span.stop - 1}"
        if version:
            sent["If-Range"] = version
    answer = get(url, sent)
    if answer.status == 416:
        answer.pieces.close()
        if span.start:
            raise Changed(f"{shown(url)} ends before byte {span.start}")
        # An empty file has no first byte.
        answer = get(url, {**(headers or {}), "Accept-Encoding": "identity"})
    check(answer)
    if answer.status != 206:
        return Reading(pieces=answer.pieces, size=_length(answer), version=_version(answer))
    start, size = _content_range(answer)
    return Reading(pieces=answer.pieces, start=start, size=size, version=_version(answer), is_partial=True)


def _length(answer: Answer) -> int | None:
    text = answer.headers.get("content-length", "")
    return int(text) if text.isdigit() and "content-encoding" not in answer.headers else None


def _version(answer: Answer) -> str:
    tag = answer.headers.get("etag", "")
    if tag and not tag.startswith("W/"):
        return tag
    return answer.headers.get("last-modified", "")


def _content_range(answer: Answer) -> tuple[int, int | None]:
    """`bytes 0-99/1000`."""
    unit, _, rest = answer.headers.get("content-range", "").partition(" ")
    span, _, size = rest.partition("/")
    start = span.partition("-")[0]
    if unit != "bytes" or not start.isdigit():
        raise Failure(Reason.DOWNLOAD_TIMEOUT, f"{shown(answer.url)} answers with a range that it does not name")
    return int(start), int(size) if size.isdigit() else None


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(url)} is no address: {error}") from error
    if not valid or parts.scheme not in ("http", "https"):
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(url)} is no address of a web server")
    return parts


def _followed(url: str, location: str) -> str:
    target = urljoin(url, location)
    if urlsplit(target).scheme != urlsplit(url).scheme:
        message = f"{shown(url)} redirects to another scheme, {shown(target)}; write that as the URI if you trust it"
        raise Failure(Reason.ARTIFACT_NOT_FOUND, message)
    return target


def _asked(
    url: str, parts: SplitResult, headers: Mapping[str, str], method: str, body: BinaryIO | None = None
) -> Answer:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = dict(headers)
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        sent["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    with _translated(url):
        connection, target = _connection(parts, path)
        try:
            connection.connect()
            connection.sock.settimeout(_SILENCE_SECONDS)
            connection.request(method, target, body, sent)
            response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
    named = {name.lower(): value for name, value in response.getheaders()}
    return Answer(url=url, status=response.status, headers=named, pieces=_Body(url, connection, response))


def _connection(parts: SplitResult, path: str) -> tuple[http.client.HTTPConnection, str]:
    """To the server, or to the proxy of the environment; and what to ask for there."""
    host, port = parts.hostname or "", parts.port
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy is None or urllib.request.proxy_bypass(host):
        connection = _made(parts.scheme, host, port)
        # The connection is made to an address that was checked, not to the name.
        connection._create_connection = addresses.connect  # type: ignore[attr-defined]  # noqa: SLF001
        return connection, path
    addresses.check_url(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    at = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.scheme == "http":
        return _made("http", at.hostname or "", at.port), f"http://{parts.netloc.rpartition('@')[2]}{path}"
    tunnel = _made("https", at.hostname or "", at.port or 80)
    tunnel.set_tunnel(host, port or 443)
    return tunnel, path


def _made(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    # Without a port the library would look for one in an IPv6 address.
    if scheme == "http":
        return http.client.HTTPConnection(host, port or 80, timeout=_CONNECT_SECONDS)
    return http.client.HTTPSConnection(host, port or 443, timeout=_CONNECT_SECONDS, context=_tls())


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class _Body:
    """The body of an answer while it comes."""

    def __init__(self, url: str, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._url = url
        self._connection = connection
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with _translated(self._url):
            piece = self._response.read1(_CHUNK)
        if piece:
            return piece
        missing = self._response.length
        self.close()
        if missing:
            raise Transient(f"{shown(self._url)} was cut {missing} bytes before its end")
        raise StopIteration

    def close(self) -> None:
        self._response.close()
        self._connection.close()


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """The network's errors in our words."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        message = f"{shown(url)} has a certificate that is not trusted: {error.verify_message}"
        raise Failure(Reason.DOWNLOAD_TIMEOUT, message) from error
    except TimeoutError as error:
        raise Transient(f"{shown(url)}: no answer in time") from error
    except (OSError, http.client.HTTPException) as error:
        words = getattr(error, "strerror", None) or type(error).__name__
        raise Transient(f"{shown(url)}: {words}") from error
    except (ValueError, UnicodeError) as error:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(url)} is no address that can be asked") from error
