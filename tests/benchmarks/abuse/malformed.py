"""Requests that are wrong in every way that a parser can be reached by: made from a seed. Pure."""

import gzip
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

PATH = b"/v2/models/iris/infer"
_ROW = [5.1, 3.5, 1.4, 0.2]
_JSON = b"application/json"


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent over one connection; after a half the caller goes away without an answer."""

    kind: str
    content: bytes
    is_half: bool = False


def cases(random: Random) -> Iterator[Case]:
    """Without end."""
    while True:
        yield from (make(random) for make in random.sample(_MAKERS, len(_MAKERS)))


def post(body: bytes, *headers: tuple[bytes, bytes], path: bytes = PATH, method: bytes = b"POST") -> bytes:
    """A request with a body of that length."""
    length = (b"Content-Length", b"%d" % len(body))
    return _head(path, method, (b"Content-Type", _JSON), length, *headers) + body


def good() -> bytes:
    """A request that is right."""
    return post(_body(_tensor()))


def _head(path: bytes, method: bytes, *headers: tuple[bytes, bytes]) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (method, path), b"Host: localhost", *(b"%s: %s" % header for header in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _tensor(**changes: object) -> dict[str, object]:
    return {"name": "X", "shape": [1, 4], "datatype": "FP32", "data": _ROW, **changes}


def _body(*tensors: object, **others: object) -> bytes:
    return json.dumps({"inputs": list(tensors), **others}).encode()


def _cut_json(random: Random) -> Case:
    body = _body(_tensor())
    return Case("JSON that is cut", post(body[: random.randrange(len(body))]))


def _flipped_json(random: Random) -> Case:
    body = bytearray(_body(_tensor()))
    for _ in range(random.randint(1, 8)):
        body[random.randrange(len(body))] = random.randrange(256)
    return Case("JSON with bytes changed", post(bytes(body)))


def _noise(random: Random) -> Case:
    return Case("no JSON at all", post(random.randbytes(random.randint(0, 4096))))


def _deep(random: Random) -> Case:
    depth = random.choice((50, 1_000, 100_000))
    opening = random.choice((b"[", b'{"a":'))
    return Case("JSON that is deep", post(b'{"inputs":' + opening * depth))


def _shape(random: Random) -> Case:
    big = 2 ** random.choice((31, 32, 62, 63, 64, 80))
    shapes: tuple[object, ...] = ([], [4], [1], [0, 4], [-1, 4], [1, -4], [1, 3], [1, 5], [1.5, 4], ["1", 4], None, 4)
    shapes += ([big, big], [big, 4], [[1, 4]], [1] * 10_000, [65_536] * 4, {"0": 1})
    shape = random.choice(shapes)
    return Case("shapes that are wrong", post(_body(_tensor(shape=shape))))


def _datatype(random: Random) -> Case:
    names: tuple[object, ...] = (
        "FP99",
        "fp32",
        "",
        "BYTES",
        "BOOL",
        "INT64",
        "FP16",
        "BF16",
        "UINT8",
        None,
        5,
        [],
        {},
        "X" * 10_000,
    )
    return Case("datatypes that are wrong", post(_body(_tensor(datatype=random.choice(names)))))


def _data(random: Random) -> Case:
    values: tuple[object, ...] = (
        [],
        [1],
        _ROW * 2,
        _ROW * 10_000,
        ["a"] * 4,
        [None] * 4,
        [True] * 4,
        [[_ROW]],
        "abcd",
        5,
        {},
    )
    values += ([[1, 2], [3]], [10**400] * 4, [-(10**30)] * 4, [1e308] * 4, ["\x00"] * 4, [{}] * 4, [[[[[1]]]]] * 4)
    return Case("data that is wrong", post(_body(_tensor(data=random.choice(values)))))


def _numbers(random: Random) -> Case:
    number = random.choice(
        (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1" * 5_000, b"0x10", b"01", b"1.", b"+1")
    )
    body = b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":[%s,1,1,1]}]}' % number
    return Case("numbers that are none", post(body))


def _fields(random: Random) -> Case:
    bodies: tuple[object, ...] = (
        {},
        [],
        None,
        5,
        "x",
        {"inputs": None},
        {"inputs": {}},
        {"inputs": []},
        {"inputs": [None]},
    )
    bodies += ({"inputs": [{}]}, {"inputs": [_tensor(), _tensor()]}, {"inputs": [_tensor(name="Y")]})
    bodies += ({"inputs": [_tensor(name="\x00")]}, {"inputs": [_tensor(name="../X")]}, {"inputs": [_tensor()] * 500})
    bodies += ({"inputs": [_tensor()], "id": 5}, {"inputs": [_tensor()], "id": "i" * 100_000})
    bodies += ({"inputs": [_tensor()], "outputs": [{"name": "nothing"}]}, {"inputs": [_tensor()], "outputs": {}})
    bodies += (
        {"inputs": [_tensor()], "outputs": [{"name": "label"}] * 1_000},
        {"inputs": [_tensor()], "parameters": 5},
    )
    bodies += ({"inputs": [_tensor(parameters={"binary_data_size": -1})]}, {"inputs": [_tensor(parameters=[])]})
    return Case("fields that are wrong", post(json.dumps(random.choice(bodies)).encode()))


def _names(random: Random) -> Case:
    names = (
        b"..",
        b"../..",
        b"..%2f..%2fetc%2fpasswd",
        b"%2e%2e",
        b"iris%00",
        b"%00",
        b"iris/../iris",
        b"%ff%fe",
        b"%",
        b"%zz",
    )
    name = random.choice(
        (*names, b"a" * 8_000, b"iris/versions/../1", b"iris;x", b"iris%0d%0aX: 1", b"\x00", b"\xff", b"iris\\..")
    )
    return Case("paths with names that are none", post(_body(_tensor()), path=b"/v2/models/" + name + b"/infer"))


def _binary(random: Random) -> Case:
    raw = struct.pack("<4f", *_ROW)
    size = random.choice((0, -1, 3, 15, 16, 17, 2**31, 2**63, 2**64, "16", None, 1.5))
    tensor = _tensor(parameters={"binary_data_size": size})
    if random.random() < 0.8:
        del tensor["data"]
    header = _body(tensor)
    length = random.choice((str(len(header)), "0", "-1", "x", "", str(len(header) + 99), str(2**70), "1e3", "١"))
    given = (b"Inference-Header-Content-Length", length.encode())
    return Case("binary tensors that are wrong", post(header + raw[: random.randint(0, 16)], given))


def _strings(random: Random) -> Case:
    raw = struct.pack("<I", random.choice((0, 3, 5, 2**31, 2**32 - 1))) + b"abc"
    header = _body({"name": "X", "shape": [1, 1], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}})
    given = (b"Inference-Header-Content-Length", b"%d" % len(header))
    return Case("lengths of strings that are wrong", post(header + raw, given))


def _chunked(random: Random) -> Case:
    body = _body(_tensor())
    chunks = random.choice(
        (
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
            b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n",
            b"-1\r\n" + body,
            b"zz\r\n" + body + b"\r\n0\r\n\r\n",
            b"ffffffffffffffffff\r\n" + body,
            b"%x;%s\r\n%s\r\n0\r\n\r\n" % (len(body), b"e" * 5_000, body),
        )
    )
    return Case("chunks, right and wrong", _head(PATH, b"POST", (b"Transfer-Encoding", b"chunked")) + chunks)


def _half(random: Random) -> Case:
    whole = good() if random.random() < 0.5 else _chunked(random).content
    return Case("half of a request", whole[: random.randint(1, len(whole) - 1)], is_half=True)


def _lengths(random: Random) -> Case:
    body = _body(_tensor())
    headers = random.choice(
        (
            [(b"Content-Length", b"-5")],
            [(b"Content-Length", b"5"), (b"Content-Length", b"6")],
            [(b"Content-Length", b"9" * 30)],
            [(b"Content-Length", b"%d" % len(body)), (b"Transfer-Encoding", b"chunked")],
            [(b"Content-Length", b"%d" % 2**40)],
            [(b"Transfer-Encoding", b"gzip, identity")],
            [(b"Content-Length", b"5, 5")],
        )
    )
    return Case("lengths that contradict", _head(PATH, b"POST", *headers) + body, is_half=True)


def _compressed(random: Random) -> Case:
    packed = gzip.compress(_body(_tensor()))
    encoding = random.choice((b"gzip", b"deflate", b"br", b"zstd", b"gzip, gzip", b"x" * 100))
    content = random.choice(
        (packed, packed[:10], packed + b"\x00" * 9, b"\x1f\x8b" + random.randbytes(50), gzip.compress(packed))
    )
    return Case("compressed bodies that are wrong", post(content, (b"Content-Encoding", encoding)))


def _bomb(random: Random) -> Case:
    return Case("gzip bombs", post(random.choice(_BOMBS), (b"Content-Encoding", b"gzip")))


def _methods(random: Random) -> Case:
    methods = (b"TRACE", b"DELETE", b"PUT", b"PATCH", b"OPTIONS", b"PROPFIND", b"post", b"\x01", b"G" * 5_000)
    return Case("methods that are none", post(_body(_tensor()), method=random.choice(methods)))


def _heads(random: Random) -> Case:
    name, value = random.choice(
        ((b"X", b"a" * 100_000), (b"X\x00", b"1"), (b"X", b"a\x00b"), (b" X", b"1"), (b"X" * 70_000, b""))
    )
    many = tuple((b"X-%d" % number, b"1") for number in range(random.choice((0, 2_000))))
    return Case("heads that are wrong", post(_body(_tensor()), (name, value), *many))


def _others(random: Random) -> Case:
    paths = (
        b"/v1/models/iris:predict",
        b"/invocations",
        b"/v2/models/iris/feedback",
        b"/v2/repository/models/iris/load",
    )
    contents = (
        b"[]",
        b"{}",
        b'{"instances": 5}',
        b'{"dataframe_split": []}',
        b'{"instances": [{"b64": "!"}]}',
        b"a,b\n1",
        b"\xff",
    )
    kinds = (_JSON, b"text/csv", b"text/csv; header=present", b"application/octet-stream", b"\xff", b"")
    content = random.choice((*contents, random.randbytes(100), b"1,2,3,4\n" * 10_000, b'"' * 1_000))
    headers = [(b"Content-Type", random.choice(kinds)), (b"Content-Length", b"%d" % len(content))]
    return Case("other paths", _head(random.choice(paths), b"POST", *headers) + content)


def _right(_random: Random) -> Case:
    return Case("right ones", good())


_BOMBS = tuple(gzip.compress(byte * (64 * 2**20)) for byte in (b"\x00", b"["))
_MAKERS: tuple[Callable[[Random], Case], ...] = (
    _cut_json,
    _flipped_json,
    _noise,
    _deep,
    _shape,
    _datatype,
    _data,
    _numbers,
    _fields,
    _names,
    _binary,
    _strings,
    _chunked,
    _half,
    _lengths,
    _compressed,
    _bomb,
    _methods,
    _heads,
    _others,
    _right,
)
"""One of each in every turn, in an order that changes."""
