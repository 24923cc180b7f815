"""Templates of paths: what is written about a request in place of the path that its caller chose. Pure."""

import re
from collections.abc import Iterable

UNKNOWN = "(unknown)"
_CONTROL = re.compile(r"/v2/repository/models/.+/(load|unload)", re.DOTALL)


class Templates:
    """The templates of the paths that are served."""

    def __init__(self, paths: Iterable[str], name: str, version: str) -> None:
        versions = rf"(?P<version>/versions/{re.escape(version)})?" if version else "(?P<version>)"
        model = re.compile(rf"(?P<root>/v[12]/models/){re.escape(name)}{versions}(?P<rest>[/:].*)?")
        self._known = {path: _template(model, path) for path in paths}

    def of(self, path: str) -> str:
        """The template of a path; `(unknown)` where nothing is served there."""
        known = self._known.get(path)
        if known is not None:
            return known
        control = _CONTROL.fullmatch(path)
        return f"/v2/repository/models/{{model}}/{control[1]}" if control else UNKNOWN


def _template(model: re.Pattern[str], path: str) -> str:
    found = model.fullmatch(path)
    if found is None:
        return path
    version = "/versions/{version}" if found["version"] else ""
    return f"{found['root']}{{model}}{version}{found['rest'] or ''}"
