"""The mark of a comparator's requests, which are neither evidence nor load of callers, and are not mirrored again."""

NAME = b"modelway-shadow"
MARK = (NAME, b"1")
