"""Universal Binary JSON: whether a file is whole, told without a value being kept. Pure."""

_FIXED = {"Z": 0, "N": 0, "T": 0, "F": 0, "i": 1, "U": 1, "C": 1, "I": 2, "l": 4, "d": 4, "L": 8, "D": 8}
"""Bytes of a value after its marker."""
_DEEPEST = 64


def keys(content: bytes) -> set[str]:
    """The names at the top of an object; raises ValueError where the file is cut off or no UBJSON."""
    reader = _Reader(content)
    if reader.marker() != "{":
        raise ValueError("it does not begin with an object")
    found = reader.members(1)
    if reader.place != len(content):
        raise ValueError(f"bytes follow its end at {reader.place}")
    return found


class _Reader:
    """A place in the bytes that only moves forward."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.place = 0

    def marker(self) -> str:
        return chr(self._taken(1)[0])

    def members(self, depth: int) -> set[str]:
        """Up to the object's end, or as many as it says; the names."""
        found: set[str] = set()
        kind, count = self._header()
        while count != 0 and (count is not None or not self._is_next("}")):
            found.add(self._taken(self._integer(self.marker())).decode("utf-8", "replace"))
            self._skip(kind or self.marker(), depth)
            count = None if count is None else count - 1
        return found

    def _skip(self, kind: str, depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        if kind in _FIXED:
            self._taken(_FIXED[kind])
        elif kind in ("S", "H"):
            self._taken(self._integer(self.marker()))
        elif kind == "{":
            self.members(depth + 1)
        elif kind == "[":
            self._skip_items(depth)
        else:
            raise ValueError(f"{kind!r} at {self.place} is no marker")

    def _skip_items(self, depth: int) -> None:
        kind, count = self._header()
        if kind in _FIXED and count is not None:
            self._taken(_FIXED[kind] * count)
            return
        while count != 0 and (count is not None or not self._is_next("]")):
            self._skip(kind or self.marker(), depth + 1)
            count = None if count is None else count - 1

    def _header(self) -> tuple[str, int | None]:
        """The one type of a container's values, and how many there are, where it says so."""
        kind = self.marker() if self._is_next("$") else ""
        count = self._integer(self.marker()) if self._is_next("#") else None
        if kind and count is None:
            raise ValueError(f"a type without a count at {self.place}")
        return kind, count

    def _integer(self, kind: str) -> int:
        if kind not in ("i", "U", "I", "l", "L"):
            raise ValueError(f"{kind!r} at {self.place} is no length")
        number = int.from_bytes(self._taken(_FIXED[kind]), "big", signed=kind != "U")
        if number < 0:
            raise ValueError(f"a length below 0 at {self.place}")
        return number

    def _is_next(self, marker: str) -> bool:
        if self._content[self.place : self.place + 1] != marker.encode():
            return False
        self.place += 1
        return True

    def _taken(self, size: int) -> bytes:
        end = self.place + size
        if end > len(self._content):
            raise ValueError("it is cut off")
        taken = self._content[self.place : end]
        self.place = end
        return taken
