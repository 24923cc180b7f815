"""The files that are made from the API types and checked in: path → text. Pure."""

import yaml

from modelway.api import reasons, reference, schema
from modelway.kinds import Manifest

_HEADER = "# Generated from operator/src/modelway/api by `make generate`. Do not edit.\n"
_FOLDERS = ("crds", "charts/modelway/files/crds")
"""The chart has a copy of its own: Helm reads nothing outside a chart."""


def files() -> dict[str, str]:
    """Each generated file by its path in the checkout."""
    definitions = schema.definitions()
    crds = {f"{crd['spec']['names']['plural']}.yaml": _yaml(crd) for crd in definitions}
    pages = {
        "docs/reference/api.md": reference.markdown(definitions),
        "docs/reference/reasons.md": reasons.markdown(),
    }
    return {f"{folder}/{name}": text for folder in _FOLDERS for name, text in crds.items()} | pages


def _yaml(manifest: Manifest) -> str:
    return _HEADER + yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Without anchors: kubectl reads them, people do not."""

    def ignore_aliases(self, data: object) -> bool:
        return True
