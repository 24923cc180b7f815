"""Models of the Hugging Face hub, asked through the two calls that its own library makes for a snapshot.

The library (huggingface_hub) would bring a cache, a downloader and a progress of its own; ours has limits and ranges.
"""

import json
import os
from typing import Any
from urllib.parse import quote, unquote

from modelway_runtime.fetch import client, download
from modelway_runtime.fetch.client import Answer
from modelway_runtime.fetch.source import Entry, Listing, Reading, Source, Span, shown
from modelway_runtime.reasons import Failure, Reason

_ENDPOINT = "https://huggingface.co"
_LONGEST_LISTING = 64 << 20
# Its answer to somebody without rights is the same as to a wrong name, but for this header.
_MISSING = ("RepoNotFound", "RevisionNotFound", "EntryNotFound")


def source(uri: str, model_format: str) -> Source:
    """`hf://ORG/NAME[@REVISION][/PATH]`: a branch, tag or commit, and a file or a folder of it."""
    del model_format
    rest = uri.partition("://")[2].partition("?")[0]
    organisation, _, rest = rest.partition("/")
    named, _, path = rest.partition("/")
    name, _, revision = named.partition("@")
    if not organisation or not name:
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{shown(uri)} names no model; write hf://ORG/NAME[@REVISION][/PATH]")
    # A revision such as refs/pr/1 is written refs%2Fpr%2F1.
    return _Repository(f"{organisation}/{name}", unquote(revision) or "main", unquote(path).strip("/"), uri)


class _Repository:
    """A model at a revision."""

    def __init__(self, name: str, revision: str, path: str, uri: str) -> None:
        self._name = name
        self._revision = revision
        self._path = path
        self._uri = uri
        self._endpoint = (os.environ.get("HF_ENDPOINT", "").strip() or _ENDPOINT).rstrip("/")
        token = os.environ.get("HF_TOKEN", "").strip()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def listing(self) -> Listing:
        """The files of the commit that the revision names now; its own files for git are left out."""
        call = f"{self._endpoint}/api/models/{quote(self._name)}/revision/{quote(self._revision, safe='')}?blobs=true"
        answer = client.get(call, self._headers)
        self._check(answer)
        try:
            body = json.loads(answer.body(_LONGEST_LISTING))
            commit = str(body["sha"])
            files = [item for item in body["siblings"] if not item["rfilename"].startswith(".git")]
            download.check_count(len(files))
            entries = tuple(self._entry(item, commit) for item in files if self._is_wanted(item["rfilename"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"{shown(call)} answers with something else than a model: {type(error).__name__}"
            raise Failure(Reason.DOWNLOAD_TIMEOUT, message) from error
        if not entries:
            raise Failure(Reason.ARTIFACT_NOT_FOUND, f"Nothing lies at {shown(self._uri)} in commit {commit}")
        is_folder = entries[0].path != self._path.rpartition("/")[2] or len(entries) > 1 or not self._path
        return Listing(entries=entries, is_folder=is_folder, name=f"commit {commit}")

    def read(self, entry: Entry, span: Span, version: str) -> Reading:
        """The file's bytes; the hub leads to the place where large files lie."""
        return client.read(entry.key, span, version, self._headers)

    def _check(self, answer: Answer) -> None:
        code = answer.headers.get("x-error-code", "")
        if code in _MISSING:
            answer.pieces.close()
            needs = "" if self._headers else "; for a private model set HF_TOKEN (secretRef)"
            raise Failure(Reason.ARTIFACT_NOT_FOUND, f"The hub has no {shown(self._uri)}: {code}{needs}")
        client.check(answer)

    def _is_wanted(self, path: str) -> bool:
        return not self._path or path == self._path or path.startswith(f"{self._path}/")

    def _entry(self, item: Any, commit: str) -> Entry:
        path = item["rfilename"]
        large = item.get("lfs") or {}
        below = path.removeprefix(self._path).lstrip("/") or path.rpartition("/")[2]
        return Entry(
            path=below,
            key=f"{self._endpoint}/{quote(self._name)}/resolve/{commit}/{quote(path)}",
            size=item.get("size"),
            sha256=large.get("sha256") or "",
        )
