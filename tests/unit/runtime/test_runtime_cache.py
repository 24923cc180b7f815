"""The cache of `fetch`: what is taken from it, what goes first, and that its troubles end no fetch."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway_runtime import digest, manifest
from modelway_runtime.__main__ import main
from modelway_runtime.fetch import cache

Fetch = Callable[..., dict[str, Any]]
FILES = {"model.onnx": b"\x08\x08model", "extra/labels.txt": b"labels"}


@pytest.fixture
def fetch(tmp_path: Path, store: Any, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    """Fetches from a bucket into a new volume each time; the termination message."""
    log = tmp_path / "termination-log"
    volumes = (tmp_path / f"models-{number}" for number in range(100))
    settings = {
        "AWS_ENDPOINT_URL": store.url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "MODELWAY_MODEL_FORMAT": "onnx",
        "MODELWAY_CACHE_PATH": str(tmp_path / "cache"),
        "MODELWAY_LOCK_PATH": str(tmp_path / "lock"),
        "MODELWAY_TERMINATION_LOG": str(log),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    store.files = {f"/bucket/m/{name}": content for name, content in FILES.items()}

    def run(**flags: str) -> dict[str, Any]:
        log.write_text("")
        volume = next(volumes)
        given = [text for name, value in flags.items() for text in (f"--{name.replace('_', '-')}", value)]
        main(["fetch", "--uri", "s3://bucket/m", "--retry", "0s", "--to", str(volume), *given])
        ended: dict[str, Any] = json.loads(log.read_text())
        if ended["reason"] == "Completed":
            manifest.verify(manifest.read(volume))
        return ended

    return run


def _model(folder: Path, number: int, size: int = 100) -> manifest.Manifest:
    place = folder / f"model-{number}"
    place.mkdir()
    (place / "model.onnx").write_bytes(bytes([number]) * size)
    return manifest.of_path(place)


def _entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("known_by", ["pin", "lock"])
def test_bytes_that_are_known_by_digest_are_not_asked_for_again(
    fetch: Fetch, store: Any, tmp_path: Path, known_by: str
) -> None:
    first = fetch()
    store.asked.clear()
    if known_by == "lock":
        (tmp_path / "lock").write_text(first["digest"])
    again = fetch(**({"digest": first["digest"]} if known_by == "pin" else {}))
    assert (again["reason"], again["digest"], again["bytes"]) == ("Completed", first["digest"], 13)
    assert store.asked == []


def test_without_a_digest_the_store_is_asked(fetch: Fetch, store: Any) -> None:
    fetch()
    store.files["/bucket/m/model.onnx"] = b"another"
    assert fetch()["bytes"] == 13
    assert store.asked


def test_an_entry_that_was_changed_is_dropped_and_fetched_again(fetch: Fetch, store: Any, tmp_path: Path) -> None:
    first = fetch()
    held = next((tmp_path / "cache").glob("sha256-*/files/model.onnx"))
    held.write_bytes(b"\x08\x08MODEL")
    store.asked.clear()
    assert fetch(digest=first["digest"])["digest"] == first["digest"]
    assert store.asked
    assert next((tmp_path / "cache").glob("sha256-*/files/model.onnx")).read_bytes() == FILES["model.onnx"]


@pytest.mark.parametrize("damage", ["manifest", "file"])
def test_half_an_entry_is_none(fetch: Fetch, tmp_path: Path, damage: str) -> None:
    first = fetch()
    pattern = "sha256-*/.modelway/manifest.json" if damage == "manifest" else "sha256-*/files/model.onnx"
    next((tmp_path / "cache").glob(pattern)).unlink()
    assert fetch(digest=first["digest"])["reason"] == "Completed"


def test_a_pickle_in_the_cache_is_still_refused(fetch: Fetch, store: Any) -> None:
    store.files = {"/bucket/m/model.pkl": b"\x80\x04N."}
    first = fetch(format="sklearn", trust="Any")
    assert fetch(format="sklearn", digest=first["digest"])["reason"] == "UntrustedFormat"


def test_a_cache_that_cannot_be_written_ends_no_fetch(fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    first = fetch()
    assert first["reason"] == "Completed"
    assert fetch(digest=first["digest"])["reason"] == "Completed"


def test_the_model_not_used_for_the_longest_time_goes_first(tmp_path: Path) -> None:
    held = cache.Cache(tmp_path / "cache", 250)
    first, second, third = (_model(tmp_path, number) for number in range(3))
    for age, model in ((200, first), (100, second)):
        held.keep(model)
        os.utime(tmp_path / "cache" / model.digest.replace(":", "-"), (1_000_000 - age, 1_000_000 - age))
    assert held.restored(first.digest, tmp_path / "used") is not None
    held.keep(third)
    assert _entries(tmp_path / "cache") == {model.digest.replace(":", "-") for model in (first, third)}


def test_a_model_larger_than_the_cache_is_not_kept_and_drives_none_out(tmp_path: Path) -> None:
    held = cache.Cache(tmp_path / "cache", 250)
    small, large = _model(tmp_path, 1), _model(tmp_path, 2, size=251)
    held.keep(small)
    held.keep(large)
    assert _entries(tmp_path / "cache") == {small.digest.replace(":", "-")}


def test_what_was_left_unfinished_a_day_ago_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "cache/.unfinished-old"
    left.mkdir(parents=True)
    os.utime(left, (1_000_000, 1_000_000))
    (tmp_path / "cache/.unfinished-new").mkdir()
    cache.Cache(tmp_path / "cache", 250).keep(_model(tmp_path, 1))
    assert {name for name in _entries(tmp_path / "cache") if name.startswith(".")} == {".unfinished-new"}


def test_many_may_write_and_read_at_the_same_time(tmp_path: Path) -> None:
    # Room for two of three models, so that entries go while others read them.
    held = cache.Cache(tmp_path / "cache", 2 * (1 << 20))
    models = [_model(tmp_path, number, size=1 << 20) for number in range(3)]
    wrong: list[str] = []

    def work(number: int) -> None:
        for turn in range(20):
            model = models[(number + turn) % 3]
            held.keep(model)
            found = held.restored(model.digest, tmp_path / f"volume-{number}-{turn}")
            if found is not None and digest.of_path(found.root)[0] != model.digest:
                wrong.append(model.digest)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not [name for name in _entries(tmp_path / "cache") if name.startswith(".unfinished")]
