"""Which image the pods of a revision run: a tag can be moved, and then pods of one revision differ. Pure."""

from modelway.plan.observed import Revision
from modelway.status.view import View


def recorded(view: View, revision: Revision) -> str:
    """Digest of the image that the revision was first seen with; empty before any pod ran."""
    listed = view.observed.status.get("revisions", ())
    known = next((item.get("imageDigest", "") for item in listed if item["name"] == revision.name), "")
    return str(known or next(iter(revision.images), ""))


def warning(revision: Revision, recorded: str) -> str:
    """What is wrong where pods run another image than the revision was first seen with; empty where none does."""
    others = [image for image in revision.images if image != recorded]
    if not others:
        return ""
    return (
        f"Pods run another image ({', '.join(others)}) than this revision began with ({recorded}): the tag was "
        "moved; name the image by digest in runtime.image"
    )
