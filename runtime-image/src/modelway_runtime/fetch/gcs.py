"""Google Cloud Storage. The keys of the Secret are Google's own names, which the library knows only in part."""

import json
import os
from typing import Any

from obstore.store import GCSStore

from modelway_runtime.fetch import addresses, buckets
from modelway_runtime.fetch.source import Source
from modelway_runtime.reasons import Failure, Reason

_NEEDED = "GOOGLE_APPLICATION_CREDENTIALS, with the content of the key file"
_KEY_NAMES = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY")


def source(uri: str, model_format: str) -> Source:
    """`gs://BUCKET/PREFIX` or `gs://BUCKET/OBJECT`."""
    del model_format
    bucket, path = buckets.place(uri, "gs://BUCKET/PATH")
    buckets.clean_settings(("GOOGLE_", "STORAGE_EMULATOR_HOST"))
    buckets.check_endpoints("GOOGLE_BASE_URL")
    config: Any = _key_by_content() | _emulator()
    with buckets.translated(uri, _NEEDED):
        store = GCSStore(bucket, config=config, client_options=buckets.CLIENT, retry_config=buckets.RETRY)  # type: ignore[arg-type]
    return buckets.Bucket(store, path, uri, _NEEDED)


def _key_by_content() -> dict[str, str]:
    """A Secret's key becomes an environment variable that holds the file itself; the library wants a path.

    The file is one without a name, in memory: the server of the same pod must not find it.
    """
    for name in _KEY_NAMES:
        if os.environ.get(name, "").startswith("{"):
            value = os.environ.pop(name)
            _check_key(name, value)
            descriptor = os.memfd_create("credentials")
            os.write(descriptor, value.encode())
            return {"application_credentials": f"/proc/self/fd/{descriptor}"}
    return {}


def _check_key(name: str, value: str) -> None:
    try:
        json.loads(value)
    except ValueError as error:
        # What stands there is a secret, so it is not shown.
        raise Failure(Reason.CREDENTIALS_DENIED, f"{name} is not the JSON of a key file") from error


def _emulator() -> dict[str, Any]:
    host = os.environ.get("STORAGE_EMULATOR_HOST", "")
    if not host:
        return {}
    url = host if "://" in host else f"http://{host}"
    addresses.check_url(url)
    return {"base_url": url, "skip_signature": True}
