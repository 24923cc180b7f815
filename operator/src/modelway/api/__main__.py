"""Writes what is generated from the API types: CRDs and reference pages. Run it at the root of the
checkout.
"""

import sys
from pathlib import Path

from modelway.api import generated


def main(root: Path) -> None:
    """Writes every generated file below `root`."""
    for path, text in generated.files().items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
