"""Azure Blob Storage. The keys of the Secret are Azure's own names, which the library knows only in part."""

import os
from typing import Any

from obstore.store import AzureStore

from modelway_runtime.fetch import addresses, buckets
from modelway_runtime.fetch.source import Source
from modelway_runtime.reasons import Failure, Reason

_NEEDED = "AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN"
_GIVEN_AS = {"AZURE_STORAGE_ACCOUNT": "account_name", "AZURE_STORAGE_KEY": "account_key"}
_IN_CONNECTION_STRING = {
    "accountname": "account_name",
    "accountkey": "account_key",
    "sharedaccesssignature": "sas_key",
    "blobendpoint": "endpoint",
}


def source(uri: str, model_format: str) -> Source:
    """`az://CONTAINER/PREFIX` or `az://CONTAINER/BLOB`."""
    del model_format
    container, path = buckets.place(uri, "az://CONTAINER/PATH")
    buckets.clean_settings(("AZURE_",))
    buckets.check_endpoints("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
    config: Any = {known: os.environ[name] for name, known in _GIVEN_AS.items() if name in os.environ}
    config |= _connection(os.environ.get("AZURE_STORAGE_CONNECTION_STRING", ""))
    with buckets.translated(uri, _NEEDED):
        store = AzureStore(container, config=config, client_options=buckets.CLIENT, retry_config=buckets.RETRY)  # type: ignore[arg-type]
    return buckets.Bucket(store, path, uri, _NEEDED)


def _connection(text: str) -> dict[str, str]:
    """`AccountName=…;AccountKey=…;EndpointSuffix=…` as the portal shows it."""
    pairs = [pair.partition("=") for pair in text.split(";") if pair.strip()]
    if not all(separator for _, separator, _ in pairs):
        raise Failure(Reason.CREDENTIALS_DENIED, "AZURE_STORAGE_CONNECTION_STRING is not NAME=VALUE;NAME=VALUE")
    given = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if "endpointsuffix" in given and "accountname" in given:
        scheme = given.get("defaultendpointsprotocol", "https")
        given.setdefault("blobendpoint", f"{scheme}://{given['accountname']}.blob.{given['endpointsuffix']}")
    if "blobendpoint" in given:
        addresses.check_url(given["blobendpoint"])
    return {known: given[name] for name, known in _IN_CONNECTION_STRING.items() if name in given}
