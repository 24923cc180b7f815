"""Object stores with models in them: S3 (versitygw), Google's (fake-gcs-server) and Azure's (azurite)."""

import base64
import hashlib
import hmac
import http.client
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote, urlencode

import obstore
from obstore.store import S3Store

from cluster import paths, shell, tools, versions
from stores import processes

BUCKET = "models"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket that holds files, and what a Secret says of it."""

    scheme: str
    environment: Mapping[str, str]


@contextmanager
def s3(files: Mapping[str, bytes], folder: Path) -> Iterator[Bucket]:
    """versitygw. Its objects are plain files, but only what was put has an ETag."""
    tools.ensure((versions.VERSITYGW,))
    (folder / "objects" / BUCKET).mkdir(parents=True)
    port = processes.free_port()
    program = str(tools.binary(versions.VERSITYGW.name))
    command = (program, "--port", f"127.0.0.1:{port}", "--quiet", "posix", str(folder / "objects"))
    keys = {"ROOT_ACCESS_KEY": "reader", "ROOT_SECRET_KEY": "not-a-real-key"}
    with processes.running(command, port, folder, keys):
        secret = {
            "AWS_ACCESS_KEY_ID": "reader",
            "AWS_SECRET_ACCESS_KEY": "not-a-real-key",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        }
        writer = S3Store(
            BUCKET,
            endpoint=secret["AWS_ENDPOINT_URL"],
            access_key_id=secret["AWS_ACCESS_KEY_ID"],
            secret_access_key=secret["AWS_SECRET_ACCESS_KEY"],
            region=secret["AWS_REGION"],
            client_options={"allow_http": True},
        )
        for name, content in files.items():
            obstore.put(writer, name, content)
        yield Bucket("s3", secret)


@contextmanager
def gcs(files: Mapping[str, bytes], folder: Path) -> Iterator[Bucket]:
    """fake-gcs-server, which asks nobody who they are."""
    tools.ensure((versions.FAKE_GCS,))
    _lay(files, folder / "objects" / BUCKET)
    port = processes.free_port()
    options = ("-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory")
    command = (str(tools.binary(versions.FAKE_GCS.name)), *options, "-data", str(folder / "objects"))
    command += ("-public-host", f"127.0.0.1:{port}")
    with processes.running(command, port, folder, {}):
        yield Bucket("gs", {"STORAGE_EMULATOR_HOST": f"127.0.0.1:{port}"})


_ACCOUNT = "modelway"
_KEY = base64.b64encode(b"not-a-real-key-but-of-its-length").decode()


@contextmanager
def azure(files: Mapping[str, bytes], folder: Path) -> Iterator[Bucket]:
    """azurite, which checks the keys."""
    port = processes.free_port()
    options = ("--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder / "blobs"))
    command = (str(_azurite()), *options, "--silent", "--skipApiVersionCheck", "--disableTelemetry")
    with processes.running(command, port, folder, {"AZURITE_ACCOUNTS": f"{_ACCOUNT}:{_KEY}"}):
        _put(port, f"/{BUCKET}", b"", {}, "restype:container")
        for name, content in files.items():
            _put(port, quote(f"/{BUCKET}/{name}"), content, {"x-ms-blob-type": "BlockBlob"})
        secret = {
            "AZURE_STORAGE_ACCOUNT": _ACCOUNT,
            "AZURE_STORAGE_KEY": _KEY,
            "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{port}/{_ACCOUNT}",
        }
        yield Bucket("az", secret)


def shared_access() -> str:
    """A token that may list and read the bucket for an hour, as `az storage container generate-sas` makes it."""
    expiry = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = ("rl", "", expiry, f"/blob/{_ACCOUNT}/{BUCKET}", "", "", "", "2022-11-02", "c", "", "", "", "", "", "", "")
    signature = hmac.digest(base64.b64decode(_KEY), "\n".join(fields).encode(), "sha256")
    query = {"sv": "2022-11-02", "sr": "c", "sp": "rl", "se": expiry, "sig": base64.b64encode(signature).decode()}
    return urlencode(query)


def has_azurite() -> bool:
    """Whether this machine can run it."""
    return shutil.which("npm") is not None


def _azurite() -> Path:
    folder = paths.cache() / "npm" / f"azurite-{versions.AZURITE}"
    program = folder / "node_modules/.bin/azurite-blob"
    with tools.locked("npm"):
        if not program.exists():
            options = ("--no-audit", "--no-fund", "--no-save", "--omit=dev", "--prefix", str(folder))
            shell.run(["npm", "install", *options, f"azurite@{versions.AZURITE}"])
    return program


def _put(port: int, path: str, content: bytes, headers: Mapping[str, str], query: str = "") -> None:
    """A request with the account's signature."""
    sent = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2023-11-03", **headers}
    named = "\n".join(f"{name}:{value}" for name, value in sorted(sent.items()))
    length = str(len(content)) if content else ""
    # The account stands twice: as owner, and because azurite has it in the path.
    resource = f"/{_ACCOUNT}/{_ACCOUNT}{path}" + (f"\n{query}" if query else "")
    text = f"PUT\n\n\n{length}\n\n\n\n\n\n\n\n\n{named}\n{resource}"
    signature = base64.b64encode(hmac.digest(base64.b64decode(_KEY), text.encode(), "sha256")).decode()
    sent["Authorization"] = f"SharedKey {_ACCOUNT}:{signature}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    target = f"/{_ACCOUNT}{path}" + (f"?{query.replace(':', '=')}" if query else "")
    connection.request("PUT", target, content, sent)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 201, body


def _lay(files: Mapping[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def digest_of(files: Mapping[str, bytes]) -> str:
    """As the design says it: sha256 over `<sha256>  <path>` of all files."""
    lines = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
