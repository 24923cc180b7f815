"""Large files in parts: cuts, slow answers, servers without ranges, files that change, and going on after a restart."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from modelway_runtime.__main__ import main
from modelway_runtime.fetch import buckets, journal, patience, transfer

PART = 1000
CONTENT = Random(7).randbytes(4500)
PARTS = ["0-1000", "1000-2000", "2000-3000", "3000-4000", "4000-4500"]
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
Fetch = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def fetch(tmp_path: Path, store: Any, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    """Fetches a file of five parts, over two connections, from a bucket or from a web server."""
    monkeypatch.setattr(transfer, "PART", PART)
    monkeypatch.setattr(buckets, "CHUNK", 1)
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.001)
    log = tmp_path / "termination-log"
    settings = {
        "AWS_ENDPOINT_URL": store.url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "MODELWAY_MODEL_FORMAT": "onnx",
        "MODELWAY_MODEL_PATH": str(tmp_path / "models"),
        "MODELWAY_TERMINATION_LOG": str(log),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    store.files = {"/bucket/m/model.onnx": CONTENT}

    def run(uri: str, *, retry: str = "30s", connections: str = "2", **flags: str) -> tuple[int, dict[str, Any]]:
        log.write_text("")
        given = [text for name, value in flags.items() for text in (f"--{name.replace('_', '-')}", value)]
        options = ["--retry", retry, "--connections", connections, *given]
        return main(["fetch", "--uri", uri.format(store=store.url), *options]), json.loads(log.read_text())

    return run


BOTH = pytest.mark.parametrize(
    "uri", ["s3://bucket/m/model.onnx", "{store}/bucket/m/model.onnx"], ids=["bucket", "website"]
)


def _got(tmp_path: Path) -> bytes:
    return (tmp_path / "models/model.onnx").read_bytes()


@BOTH
def test_a_large_file_comes_in_parts_each_asked_once(fetch: Fetch, store: Any, tmp_path: Path, uri: str) -> None:
    status, ended = fetch(uri)
    assert (status, ended["digest"], ended["bytes"]) == (0, DIGEST, len(CONTENT))
    assert _got(tmp_path) == CONTENT
    assert sorted(span for span in store.spans if span != f"0-{len(CONTENT)}") == PARTS


@BOTH
def test_a_part_that_was_cut_goes_on_behind_its_last_byte(fetch: Fetch, store: Any, tmp_path: Path, uri: str) -> None:
    head = [200] if uri.startswith("s3") else []
    store.faults = {"/bucket/m/model.onnx": [*head, "cut at 300", 200]}
    status, ended = fetch(uri, connections="1")
    assert (status, ended["digest"]) == (0, DIGEST)
    assert _got(tmp_path) == CONTENT
    assert store.spans[len(head) :] == ["0-1000", "300-1000", *PARTS[1:]]


@BOTH
def test_every_part_may_be_cut_many_times(fetch: Fetch, store: Any, tmp_path: Path, uri: str) -> None:
    cuts = [f"cut at {byte}" for byte in range(150, len(CONTENT), 150)]
    store.faults = {"/bucket/m/model.onnx": [200, *cuts, 200]}
    assert fetch(uri, connections="1")[1]["digest"] == DIGEST


@BOTH
def test_a_file_that_always_breaks_at_the_same_byte_is_given_up(fetch: Fetch, store: Any, uri: str) -> None:
    store.faults = {"/bucket/m/model.onnx": ["cut at 2500"]}
    _, ended = fetch(uri, retry="1s")
    assert ended["reason"] == "DownloadTimeout"
    assert "without progress" in ended["message"]


@BOTH
def test_slow_bytes_are_progress(fetch: Fetch, store: Any, uri: str) -> None:
    store.faults = {"/bucket/m/model.onnx": ["slow"]}
    assert fetch(uri, retry="5s")[1]["digest"] == DIGEST


def test_a_server_that_ignores_ranges_is_read_in_one_go(fetch: Fetch, store: Any, tmp_path: Path) -> None:
    store.faults = {"/bucket/m/model.onnx": ["no ranges"]}
    status, ended = fetch("{store}/bucket/m/model.onnx")
    assert (status, ended["digest"], len(store.asked)) == (0, DIGEST, 1)
    assert _got(tmp_path) == CONTENT


@BOTH
def test_a_file_without_a_version_is_read_in_one_go(fetch: Fetch, store: Any, tmp_path: Path, uri: str) -> None:
    store.faults = {"/bucket/m/model.onnx": ["no version"]}
    status, ended = fetch(uri, retry="0s")
    assert (status, ended["digest"]) == (0, DIGEST)
    assert _got(tmp_path) == CONTENT
    assert store.spans[-1] == f"0-{len(CONTENT)}"


@pytest.mark.parametrize("fault", ["no ranges", "no version"])
def test_without_ranges_or_version_a_cut_file_begins_again(fetch: Fetch, store: Any, fault: str) -> None:
    store.faults = {"/bucket/m/model.onnx": [fault]}
    fetch("{store}/bucket/m/model.onnx")
    first = len(store.spans)
    store.faults = {"/bucket/m/model.onnx": ["no ranges", "cut at 4000", 200]}
    assert fetch("{store}/bucket/m/model.onnx")[1]["digest"] == DIGEST
    assert store.spans[-1] == f"0-{len(CONTENT)}"
    assert first >= 1


def test_a_server_that_gives_ranges_only_once_is_read_in_one_go(fetch: Fetch, store: Any, tmp_path: Path) -> None:
    store.faults = {"/bucket/m/model.onnx": [200, "no ranges"]}
    assert fetch("{store}/bucket/m/model.onnx")[1]["digest"] == DIGEST
    assert _got(tmp_path) == CONTENT


def test_a_length_that_is_a_lie_is_not_believed(fetch: Fetch, store: Any, tmp_path: Path) -> None:
    # Ten bytes more are promised than the range has, which are never waited for.
    store.faults = {"/bucket/m/model.onnx": ["cut"]}
    assert fetch("{store}/bucket/m/model.onnx")[1]["digest"] == DIGEST
    assert _got(tmp_path) == CONTENT


@BOTH
def test_a_file_that_changes_between_two_parts_is_begun_again(
    fetch: Fetch, store: Any, tmp_path: Path, uri: str
) -> None:
    store.faults = {"/bucket/m/model.onnx": [200, 200, "moved", 200]}
    status, ended = fetch(uri, connections="1")
    assert (status, ended["digest"]) == (0, f"sha256:{hashlib.sha256(CONTENT[::-1]).hexdigest()}")
    assert _got(tmp_path) == CONTENT[::-1]


@BOTH
def test_a_file_whose_version_never_stays_is_read_in_one_go(fetch: Fetch, store: Any, tmp_path: Path, uri: str) -> None:
    store.faults = {"/bucket/m/model.onnx": ["moved"]}
    status, ended = fetch(uri, connections="1")
    assert status == 0
    assert _got(tmp_path) in (CONTENT, CONTENT[::-1])
    assert ended["digest"] == f"sha256:{hashlib.sha256(_got(tmp_path)).hexdigest()}"
    assert store.spans[-1] == f"0-{len(CONTENT)}"


@BOTH
def test_the_next_start_asks_only_for_what_is_missing(fetch: Fetch, store: Any, tmp_path: Path, uri: str) -> None:
    store.faults = {"/bucket/m/model.onnx": ["cut at 2500"]}
    assert fetch(uri, retry="0.1s", connections="1")[1]["reason"] == "DownloadTimeout"
    assert (tmp_path / "models" / journal.NAME).exists()
    store.faults, store.spans = {}, []
    status, ended = fetch(uri)
    assert (status, ended["digest"], ended["bytes"]) == (0, DIGEST, len(CONTENT))
    assert sorted(span for span in store.spans if span != f"0-{len(CONTENT)}") == ["2500-3000", *PARTS[3:]]
    assert not (tmp_path / "models" / journal.NAME).exists()


@BOTH
def test_what_is_left_of_another_version_is_worth_nothing(fetch: Fetch, store: Any, tmp_path: Path, uri: str) -> None:
    store.faults = {"/bucket/m/model.onnx": ["cut at 2500"]}
    fetch(uri, retry="0.1s", connections="1")
    store.faults, store.files = {}, {"/bucket/m/model.onnx": CONTENT[::-1]}
    assert fetch(uri)[1]["digest"] == f"sha256:{hashlib.sha256(CONTENT[::-1]).hexdigest()}"
    assert _got(tmp_path) == CONTENT[::-1]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"uri": 1, "files": []}', "\0"])
def test_a_journal_that_makes_no_sense_is_none(fetch: Fetch, tmp_path: Path, text: str) -> None:
    (tmp_path / "models/.modelway").mkdir(parents=True)
    (tmp_path / "models" / journal.NAME).write_text(text)
    assert fetch("s3://bucket/m")[0] == 0


def test_a_shorter_file_leaves_nothing_of_a_longer_one(fetch: Fetch, store: Any, tmp_path: Path) -> None:
    fetch("s3://bucket/m/model.onnx")
    store.files = {"/bucket/m/model.onnx": CONTENT[:1200]}
    fetch("s3://bucket/m/model.onnx")
    assert _got(tmp_path) == CONTENT[:1200]


@BOTH
def test_the_limit_holds_over_all_parts(fetch: Fetch, uri: str) -> None:
    assert fetch(uri, max_model_bytes="4499")[1]["reason"] == "ArtifactTooLarge"


@BOTH
@pytest.mark.parametrize(("status", "reason"), [(403, "CredentialsDenied"), (404, "ArtifactNotFound")])
def test_a_part_that_is_refused_ends_all(fetch: Fetch, store: Any, uri: str, status: int, reason: str) -> None:
    store.faults = {"/bucket/m/model.onnx": [200, 200, status]}
    assert fetch(uri)[1]["reason"] == reason


def test_files_that_were_complete_are_not_asked_for_again(fetch: Fetch, store: Any) -> None:
    store.files = {"/bucket/m/a.bin": CONTENT, "/bucket/m/model.onnx": CONTENT[::-1]}
    store.faults = {"/bucket/m/model.onnx": ["cut at 2500"]}
    assert fetch("s3://bucket/m", retry="0.1s", connections="1")[1]["reason"] == "DownloadTimeout"
    store.faults, store.spans = {}, []
    _, ended = fetch("s3://bucket/m")
    assert (ended["reason"], ended["bytes"]) == ("Completed", 2 * len(CONTENT))
    assert sorted(store.spans) == ["2500-3000", *PARTS[3:]]


def test_the_log_says_how_far_and_how_fast(
    fetch: Fetch, store: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(patience, "PROGRESS_SECONDS", 0.0)
    fetch("s3://bucket/m/model.onnx")
    said = [json.loads(line)["message"] for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    assert [line for line in said if re.fullmatch(r"Fetching model\.onnx: \d+ %, [\d.]+ [KMG]?i?B/s", line)]
