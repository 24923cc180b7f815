"""What all object stores have in common: settings from the environment, listing, reading, errors in our words."""

import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, PreconditionError, UnauthenticatedError
from obstore.store import ObjectStore

from modelway_runtime.fetch import addresses, download
from modelway_runtime.fetch.source import Changed, Entry, Listing, Reading, Span, Transient, shown
from modelway_runtime.reasons import Failure, Reason

CHUNK = 128 << 10
"""Bytes that the library gathers before it gives them; when a connection is cut, what it has gathered is lost."""

# A whole large model may take hours; only silence is an error. Retries are ours, so that progress is logged.
CLIENT: dict[str, Any] = {
    "allow_http": True,
    "connect_timeout": "5s",
    "read_timeout": "15s",
    "timeout": "24h",
}
RETRY: dict[str, Any] = {"max_retries": 0, "retry_timeout": timedelta(seconds=20)}
# What the library asks of the cloud's metadata service when the environment holds no keys.
_METADATA_SERVICE = ("/latest/api/token", "/latest/meta-data", "/computeMetadata/", "/metadata/identity/")
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


def place(uri: str, form: str) -> tuple[str, str]:
    """The bucket and the path of `s3://BUCKET/PATH`; `#` and `?` are legal in a path."""
    try:
        bucket = urlsplit(uri).netloc
    except ValueError as error:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(uri)} is no address: {error}") from error
    path = unquote(uri.split("://", 1)[1].removeprefix(bucket)).strip("/")
    if not bucket or not path:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(uri)} names no object; write {form}")
    return bucket, path


def clean_settings(prefixes: tuple[str, ...]) -> None:
    """Takes the line end off that a Secret often holds, and what is empty away: the library would end the process."""
    for name in [name for name in os.environ if name.startswith(prefixes)]:
        value = os.environ.pop(name).strip()
        if value:
            os.environ[name] = value


def check_endpoints(*names: str) -> None:
    """Refuses settings that are no URL, or that lead where no store is."""
    for name in names:
        value = os.environ.get(name, "")
        if value and not value.lower().startswith(("http://", "https://")):
            raise Failure(Reason.CREDENTIALS_DENIED, f"{name} is no URL; write for example https://s3.example.com")
        if value:
            addresses.check_url(value)


class Bucket:
    """A prefix or a single object in a bucket; `needed` says which settings identify the reader."""

    def __init__(self, store: ObjectStore, prefix: str, uri: str, needed: str) -> None:
        self._store = store
        self._prefix = prefix
        self._uri = uri
        self._needed = needed

    def listing(self) -> Listing:
        """The object of that name, else all below it as a folder."""
        if not self._uri.endswith("/"):
            try:
                with translated(self._uri, self._needed):
                    meta = obstore.head(self._store, self._prefix)
                return Listing(entries=(_entry(PurePosixPath(self._prefix).name, meta),), is_folder=False)
            except Failure as failure:
                if failure.reason is not Reason.ARTIFACT_NOT_FOUND:
                    raise
        with translated(self._uri, self._needed):
            objects: list[Any] = []
            for chunk in obstore.list(self._store, prefix=self._prefix):
                objects += chunk
                download.check_count(len(objects))
            entries = tuple(
                _entry(item["path"].removeprefix(self._prefix).lstrip("/"), item)
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

    def read(self, entry: Entry, span: Span, version: str) -> Reading:
        """The object's bytes."""
        options: Any = {}
        if not span.is_whole:
            options["range"] = (span.start, span.stop)
        if version:
            options["if_match"] = f'"{version}"'
        with translated(f"{self._uri} ({entry.path})", self._needed):
            result = obstore.get(self._store, entry.key, options=options)
            meta = result.meta
        return Reading(
            pieces=self._pieces(result, entry),
            start=result.range[0],
            size=meta["size"],
            version=_version(meta),
            is_partial=True,
        )

    def _pieces(self, result: Any, entry: Entry) -> Generator[bytes, None, None]:
        with translated(f"{self._uri} ({entry.path})", self._needed):
            for piece in result.stream(min_chunk_size=CHUNK):
                yield bytes(piece)


def _entry(path: str, meta: Any) -> Entry:
    return Entry(path=path, key=meta["path"], size=meta["size"], version=_version(meta))


def _version(meta: Any) -> str:
    """The ETag, which some lists give without its quotes; a weak one says nothing about bytes."""
    tag = meta.get("e_tag") or ""
    return "" if tag.startswith("W/") else tag.strip('"')


@contextmanager
def translated(uri: str, needed: str) -> Iterator[None]:
    """The store's errors in our words."""
    try:
        yield
    except FileNotFoundError as error:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"Nothing lies at {shown(uri)}: {_cause(error)}") from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise Failure(Reason.CREDENTIALS_DENIED, f"Access to {shown(uri)} was denied: {_cause(error)}") from error
    except PreconditionError as error:
        raise Changed(f"{shown(uri)} was changed while it was fetched") from error
    except BaseError as error:
        raise _other(uri, needed, error) from error
    except ValueError as error:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(uri)} is no address: {_cause(error)}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        # The library gives up where a setting is no text of a header or of a URL.
        message = f"{shown(uri)} cannot be asked with these settings: {_cause(error)}"
        raise Failure(Reason.CREDENTIALS_DENIED, message) from error


def _other(uri: str, needed: str, error: BaseError) -> Exception:
    """An error that the library does not name: no credentials at all, a final refusal, or one that may pass."""
    cause = _cause(error)
    if any(path in str(error) for path in _METADATA_SERVICE):
        message = f"No credentials for {shown(uri)}: set {needed} (secretRef)"
        return Failure(Reason.CREDENTIALS_DENIED, message)
    if "Config error" in cause:
        return Failure(Reason.CREDENTIALS_DENIED, f"{shown(uri)} cannot be asked with these settings: {cause}")
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
