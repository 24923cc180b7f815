"""Amazon S3 and what speaks like it. The keys of the Secret are the store's own (AWS_…)."""

from obstore.store import S3Store

from modelway_runtime.fetch import buckets
from modelway_runtime.fetch.source import Source

_NEEDED = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


def source(uri: str, model_format: str) -> Source:
    """`s3://BUCKET/PREFIX` or `s3://BUCKET/KEY`."""
    del model_format
    bucket, path = buckets.place(uri, "s3://BUCKET/PATH")
    buckets.clean_settings(("AWS_",))
    buckets.check_endpoints("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT")
    with buckets.translated(uri, _NEEDED):
        store = S3Store(bucket, client_options=buckets.CLIENT, retry_config=buckets.RETRY)  # type: ignore[arg-type]
    return buckets.Bucket(store, path, uri, _NEEDED)
