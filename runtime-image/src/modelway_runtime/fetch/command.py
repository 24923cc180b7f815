"""`modelway-runtime fetch`: from a URI to checked files and a manifest."""

import importlib
import os
import time
from dataclasses import replace
from pathlib import Path

from modelway_runtime import digest, formats, logs, manifest, registry, settings
from modelway_runtime.digest import File
from modelway_runtime.fetch import download, layout, unpacking
from modelway_runtime.fetch.cache import Cache
from modelway_runtime.fetch.folder import unreadable
from modelway_runtime.fetch.patience import Patience, check_size
from modelway_runtime.fetch.source import Listing, Source, shown
from modelway_runtime.manifest import Manifest
from modelway_runtime.reasons import Failure, Reason
from modelway_runtime.settings import Environ, FetchSettings
from modelway_runtime.termination import Outcome


def run(environ: Environ) -> Outcome:
    """Fetches what the settings name; the outcome carries the digest."""
    wanted = settings.fetch(environ)
    started = time.monotonic()
    logs.write("Fetching model", uri=shown(wanted.uri), format=wanted.model_format)
    brought, name = fetch(wanted)
    took = round(time.monotonic() - started, 3)
    logs.write("Fetched model", digest=brought.digest, bytes=brought.size, files=len(brought.files), seconds=took)
    message = f"Fetched {len(brought.files)} file(s) from {shown(wanted.uri)}" + (f", {name}" if name else "")
    return Outcome(reason=Reason.COMPLETED, message=message, digest=brought.digest, size=brought.size)


def fetch(wanted: FetchSettings) -> tuple[Manifest, str]:
    """The model on the volume, checked against pin and lock, and what its name stands for; the manifest comes last."""
    held = Cache(wanted.cache_path, wanted.cache_bytes) if wanted.cache_path else None
    known = wanted.pin or _lock(wanted.lock_path)
    name = ""
    brought = _cached(held, known, wanted)
    if brought is None:
        brought, name = _asked(held, wanted)
    _check_digest(brought.digest, wanted)
    brought = _signed(brought, wanted)
    try:
        if wanted.layout in layout.LAYOUTS:
            layout.arrange(brought, wanted.model_path, wanted.layout, wanted.name)
        manifest.write(wanted.model_path, brought)
    except OSError as error:
        raise download.local_failure(wanted.model_path, error) from error
    return brought, name


def _cached(held: Cache | None, known: str, wanted: FetchSettings) -> Manifest | None:
    """From the cache, where the digest is known before the bytes; then the store is not asked for them."""
    if held is None or not known or wanted.uri.startswith("pvc:"):
        return None
    brought = held.restored(known, _emptied(wanted.model_path))
    if brought is not None:
        check_size(brought.size, wanted.max_bytes)
        _check_format(brought.paths, wanted)
    return brought


def _asked(held: Cache | None, wanted: FetchSettings) -> tuple[Manifest, str]:
    """From the store, and into the cache."""
    source = _source(wanted)
    patience = Patience(wanted.retry_seconds)
    listing = patience.tried(source.listing)
    if listing.name:
        logs.write("Found model", uri=shown(wanted.uri), name=listing.name)
    if listing.place:
        return _in_place(listing, wanted), listing.name
    brought = _cached(held, listing.digest, wanted)
    if brought is None:
        brought = _copied(source, listing, wanted, patience)
        if held:
            held.keep(brought)
    return brought, listing.name


def _emptied(path: Path) -> Path:
    """The model's folder, without a manifest: while files change under it, an older one must not be believed."""
    folder = path.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / manifest.NAME).unlink(missing_ok=True)
    except OSError as error:
        raise download.local_failure(folder, error) from error
    return folder


def _source(wanted: FetchSettings) -> Source:
    scheme, separator, _ = wanted.uri.partition("://")
    scheme = scheme.lower() if separator else "file"
    open_source = registry.find(registry.STORES, scheme)
    if open_source is None:
        known = ", ".join(registry.names(registry.STORES))
        raise Failure(Reason.ARTIFACT_NOT_FOUND, f"{scheme}:// cannot be fetched; this runtime knows {known}")
    source: Source = open_source(wanted.uri, wanted.model_format)
    return source


def _copied(source: Source, listing: Listing, wanted: FetchSettings, patience: Patience) -> Manifest:
    entries = unpacking.marked(download.check(listing.entries, max_bytes=wanted.max_bytes), wanted.model_format)
    is_packed = any(entry.is_packed for entry in entries)
    if not is_packed:
        _check_format(tuple(entry.path for entry in entries), wanted)
    folder = _emptied(wanted.model_path)
    download.check_space(folder, entries)
    copying = download.Download(source, folder, patience, max_bytes=wanted.max_bytes, connections=wanted.connections)
    files = copying.copy(entries, wanted.uri)
    # Of what lies at the URI: an archive has the digest of its bytes, however it is unpacked.
    found = digest.of_files(files) if listing.is_folder else f"sha256:{files[0].sha256}"
    found = listing.digest or found
    _check_digest(found, wanted)
    if is_packed:
        files = unpacking.unpacked(entries, files, folder, max_bytes=wanted.max_bytes)
        _check_format(tuple(file.path for file in files), wanted)
    return Manifest(root=folder, digest=found, files=files)


def _in_place(listing: Listing, wanted: FetchSettings) -> Manifest:
    place = (listing.place or Path()).absolute()
    names = digest.listing(place) if listing.is_folder else (place.name,)
    _check_format(names, wanted)
    try:
        brought = manifest.of_path(place)
    except OSError as error:
        raise unreadable(Path(error.filename or place), error) from error
    check_size(brought.size, wanted.max_bytes)
    return brought


def _signed(brought: Manifest, wanted: FetchSettings) -> Manifest:
    """The manifest of the signed files alone, where a signer is named."""
    if wanted.signature is None:
        return brought
    # It brings cryptography, which nobody else needs.
    verifying = importlib.import_module("modelway_runtime.fetch.signature")
    files: tuple[File, ...] = verifying.verified(brought.files, brought.root, wanted.signature)
    if brought.root == wanted.model_path.absolute():
        _keep(files, brought.root)
    logs.write("Verified signature", file=wanted.signature.file, files=len(files))
    _check_format(tuple(file.path for file in files), wanted)
    return replace(brought, files=files, is_signed=True)


def _keep(files: tuple[File, ...], folder: Path) -> None:
    """Takes every other file away, also what an earlier try left: code might find it there."""
    for name in set(digest.listing(folder)) - {file.path for file in files}:
        (folder / name).unlink()


def _check_format(names: tuple[str, ...], wanted: FetchSettings) -> None:
    model_format = wanted.model_format or formats.guess(names)
    # A signature is looked at when all is there; until then nothing is opened.
    formats.check_trust(formats.find(names, model_format), "Any" if wanted.trust == "Signed" else wanted.trust)


def _check_digest(found: str, wanted: FetchSettings) -> None:
    """The pin of the spec, then the lock: the bytes that the first pod of this revision got."""
    if wanted.pin and found != wanted.pin:
        raise Failure(Reason.DIGEST_MISMATCH, f"Fetched {found}, the spec pins {wanted.pin}")
    locked = _lock(wanted.lock_path)
    if locked and found != locked:
        message = f"Fetched {found}, this revision is locked to {locked}: the source was changed since"
        raise Failure(Reason.DIGEST_MISMATCH, message)


def _lock(path: Path) -> str:
    if not os.path.lexists(path):
        return ""
    try:
        return settings.digest(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Failure(Reason.DIGEST_MISMATCH, f"{path}: {error}") from error
