"""Object stores and web servers as sources: s3, http, https. Keys and endpoints come from the environment (AWS_*)."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import HTTPStore, S3Store

from modelway_runtime.fetch import download
from modelway_runtime.fetch.source import Entry, Listing, Source, Transient, shown
from modelway_runtime.formats import FORMATS
from modelway_runtime.reasons import Failure, Reason

_CHUNK = 4 << 20
# A whole large model may take hours; only silence is an error. Retries are ours, so that progress is logged.
_CLIENT: dict[str, Any] = {
    "allow_http": True,
    "connect_timeout": "5s",
    "read_timeout": "15s",
    "timeout": "24h",
}
_RETRY: dict[str, Any] = {"max_retries": 0, "retry_timeout": timedelta(seconds=20)}
# What the library asks of the cloud's metadata service when the environment holds no keys.
_METADATA_SERVICE = ("/latest/api/token", "/latest/meta-data")
# A listing's errors have no class of their own.
_FINAL = {
    "401": Reason.CREDENTIALS_DENIED,
    "403": Reason.CREDENTIALS_DENIED,
    "404": Reason.ARTIFACT_NOT_FOUND,
    "410": Reason.ARTIFACT_NOT_FOUND,
}
_PASSING = ("408", "425", "429")
# Some stores answer 404 for a user that they do not know.
_WORDS_OF_DENIAL = ("User", "AccessKey", "Signature", "AccessDenied")


def s3(uri: str, model_format: str) -> Source:
    """`s3://BUCKET/PREFIX` or `s3://BUCKET/KEY`."""
    del model_format
    parts = _split(uri)
    # `#` and `?` are legal in a key.
    prefix = unquote(uri.split("://", 1)[1].removeprefix(parts.netloc)).strip("/")
    if not parts.netloc or not prefix:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(uri)} names no object; write s3://BUCKET/PATH")
    _clean_settings()
    with _translated(uri):
        store = S3Store(parts.netloc, client_options=_CLIENT, retry_config=_RETRY)  # type: ignore[arg-type]
    return _Bucket(store, prefix, uri)


def http(uri: str, model_format: str) -> Source:
    """One file by its URL; with a `/` at the end, the file of the format below it."""
    _split(uri)
    return _Site(uri, model_format)


def _split(uri: str) -> SplitResult:
    try:
        return urlsplit(uri)
    except ValueError as error:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(uri)} is no address: {error}") from error


def _clean_settings() -> None:
    """Takes the line end off that a Secret often holds, and what is empty away: the library would end the process."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        value = os.environ.pop(name).strip()
        if value:
            os.environ[name] = value
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"):
        if not os.environ.get(name, "http://").lower().startswith(("http://", "https://")):
            raise Failure(Reason.CREDENTIALS_DENIED, f"{name} is no URL; write for example https://s3.example.com")


class _Bucket:
    """A prefix or a single object in an S3 bucket."""

    def __init__(self, store: S3Store, prefix: str, uri: str) -> None:
        self._store = store
        self._prefix = prefix
        self._uri = uri

    def listing(self) -> Listing:
        """The object of that name, else all below it as a folder."""
        if not self._uri.endswith("/"):
            try:
                with _translated(self._uri):
                    meta = obstore.head(self._store, self._prefix)
                name = PurePosixPath(self._prefix).name
                return Listing(entries=(Entry(path=name, key=self._prefix, size=meta["size"]),), is_folder=False)
            except Failure as failure:
                if failure.reason is not Reason.ARTIFACT_NOT_FOUND:
                    raise
        with _translated(self._uri):
            objects: list[Any] = []
            for chunk in obstore.list(self._store, prefix=self._prefix):
                objects += chunk
                download.check_count(len(objects))
            entries = tuple(
                Entry(path=item["path"].removeprefix(self._prefix).lstrip("/"), key=item["path"], size=item["size"])
                for item in objects
                if item["path"] != self._prefix and not self._is_marker(item)
            )
        if not entries:
            raise Failure(Reason.ARTIFACT_NOT_FOUND, f"Nothing lies at {shown(self._uri)}")
        return Listing(entries=entries)

    def _is_marker(self, item: Any) -> bool:
        """Whether a console made this empty object to show a folder; its key ends with `/`, which lists leave out."""
        if item["size"]:
            return False
        try:
            obstore.head(self._store, item["path"])
        except FileNotFoundError:
            return True
        return False

    def read(self, entry: Entry) -> Iterator[bytes]:
        """The object's bytes."""
        with _translated(f"{self._uri} ({entry.path})"):
            for piece in obstore.get(self._store, entry.key).stream(min_chunk_size=_CHUNK):
                yield bytes(piece)


class _Site:
    """A file on a web server, which cannot list folders."""

    def __init__(self, uri: str, model_format: str) -> None:
        self._uri = uri
        self._format = model_format

    def listing(self) -> Listing:
        """The file; its name is the URL's when that has a suffix of the format, else the format's first name."""
        names = [candidate.name for candidate in FORMATS.get(self._format, ())]
        path = unquote(urlsplit(self._uri).path)
        if not path.endswith("/"):
            name = PurePosixPath(path).name
            is_known = not names or PurePosixPath(name).suffix in {PurePosixPath(known).suffix for known in names}
            return Listing(entries=(Entry(path=name if is_known else names[0], key=self._uri),), is_folder=False)
        for name in names:
            key = self._uri + name
            try:
                with _translated(key):
                    size = obstore.get(_site(key), "").meta["size"]
            except Failure as failure:
                if failure.reason is not Reason.ARTIFACT_NOT_FOUND:
                    raise
                continue
            return Listing(entries=(Entry(path=name, key=key, size=size),), is_folder=False)
        wanted = " or ".join(names) or "a format, to know which file to ask for"
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(self._uri)} has no {wanted}")

    def read(self, entry: Entry) -> Iterator[bytes]:
        """The file's bytes."""
        with _translated(entry.key):
            for piece in obstore.get(_site(entry.key), "").stream(min_chunk_size=_CHUNK):
                yield bytes(piece)


def _site(url: str) -> HTTPStore:
    return HTTPStore.from_url(url, client_options=_CLIENT, retry_config=_RETRY)  # type: ignore[arg-type]


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """The store's errors in our words."""
    try:
        yield
    except FileNotFoundError as error:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"Nothing lies at {shown(uri)}: {_cause(error)}") from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise Failure(Reason.CREDENTIALS_DENIED, f"Access to {shown(uri)} was denied: {_cause(error)}") from error
    except BaseError as error:
        raise _other(uri, error) from error
    except ValueError as error:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(uri)} is no address: {_cause(error)}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        # The library gives up where a setting is no text of a header or of a URL.
        message = f"{shown(uri)} cannot be asked with these settings (AWS_…): {_cause(error)}"
        raise Failure(Reason.CREDENTIALS_DENIED, message) from error


def _other(uri: str, error: BaseError) -> Exception:
    """An error that the library does not name: no credentials at all, a final refusal, or one that may pass."""
    cause = _cause(error)
    if any(path in str(error) for path in _METADATA_SERVICE):
        message = f"No credentials for {shown(uri)}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (secretRef)"
        return Failure(Reason.CREDENTIALS_DENIED, message)
    if "Config error" in cause:
        return Failure(Reason.CREDENTIALS_DENIED, f"{shown(uri)} cannot be asked with these settings (AWS_…): {cause}")
    if "invalid path" in cause:
        return Failure(Reason.FORMAT_MISMATCH, f"{shown(uri)} holds an unsafe name: {cause}")
    status = cause[:3]
    if any(word in cause for word in _WORDS_OF_DENIAL):
        return Failure(Reason.CREDENTIALS_DENIED, f"Access to {shown(uri)} was denied: {cause}")
    if status in _FINAL:
        return Failure(_FINAL[status], f"{shown(uri)} was refused: {cause}")
    if status.isdigit() and status.startswith("4") and status not in _PASSING:
        return Failure(Reason.DOWNLOAD_TIMEOUT, f"{shown(uri)} was refused: {cause}")
    return Transient(f"{shown(uri)}: {cause}")


def _cause(error: BaseException) -> str:
    """What the library knows in a few words: `403 Forbidden (AccessDenied)`, or the words of the network.

    Its own text holds whole URLs, and their query may hold a signature.
    """
    text = str(error)
    status = re.search(r"status code: (\d{3}[A-Za-z -]*)", text)
    if status:
        code = re.search(r"<Code>([\w.-]{1,60})</Code>", text)
        return status[1].strip() + (f" ({code[1]})" if code else "")
    network = re.search(r'(?:message|error): "([^"]{1,200})"', text)
    if network:
        return network[1]
    short = " ".join(text.split("Debug source:", 1)[0].split())
    return re.sub(r"https?://\S+", "the store", short)[:200]
