"""What kubectl shows of an object, with all that differs between runs replaced, to be compared. Pure."""

import re
from collections.abc import Mapping

_GAP = re.compile(r" {2,}")
_AGE = re.compile(r"(?<=\s)(\d+[smhd]){1,2}(?=\s|$)")
_REPLACED = (
    (re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z"), "<time>"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<uid>"),
    (re.compile(r"sha256:[0-9a-f]{64}"), "<digest>"),
    (re.compile(r"\b\d{1,3}(\.\d{1,3}){3}\b"), "<address>"),
    (re.compile(r"(modelway-(runtime|operator)):[\w.-]+"), r"\1:<version>"),
    # A command is cut where it is long, so none of it can be compared.
    (re.compile(r"(serving\.modelway\.io/(command|abort):)\s+\S.*"), r"\1 <command>"),
    (re.compile(r"^(\s*(Resource Version|Generation|Observed Generation|Epoch):\s+)\d+$", re.MULTILINE), r"\1<n>"),
    # Counted until the rollout ends: how many pods are ready by then is a matter of luck.
    (re.compile(r"^(\s*High Water Ready:\s+)\d+$", re.MULTILINE), r"\1<n>"),
    (re.compile(r"^(\s*Id:\s+)[0-9a-f]{8}$", re.MULTILINE), r"\1<id>"),
    (re.compile(r"^(\s*By:\s+)\S.*$", re.MULTILINE), r"\1<caller>"),
    (re.compile(r"^(\s*Raw( Abort)?:\s+)\S.*$", re.MULTILINE), r"\1<command>"),
)
# Evidence is gathered until somebody looks, so how much there is and which metric decides first is luck.
_EVIDENCE = (
    (re.compile(r"\b(errors|latency|answers): \S.*"), "<evidence>"),
    (re.compile(r"(\n {4}[A-Z][^\n]*){5}\n {4}Type: +AnalysisPassing(?=\n)"), ""),
    (re.compile(r"(?<=\n)    Analysis:\n( {6}[^\n]*\n)+"), "    Analysis:  <evidence>\n"),
)
_SPAN = re.compile(r"\b(\d+h)?(\d+m)?\d+(\.\d+)?s\b")
_POD = re.compile(r"(<revision-\d+>)-[a-z0-9]{6,10}-[a-z0-9]{5}\b")


def portrait(text: str, hashes: Mapping[str, str]) -> str:
    """The text with times, ids, digests and addresses replaced, and revisions by their numbers."""
    for identity, number in hashes.items():
        text = text.replace(identity, f"<revision-{number}>")
    for pattern, word in _REPLACED:
        text = pattern.sub(word, text)
    return _POD.sub(r"\1-<pod>", text)


def row(text: str, hashes: Mapping[str, str]) -> str:
    """`kubectl get` with its columns two blanks apart and the age replaced."""
    lines = portrait(text, hashes).rstrip().splitlines()
    return "\n".join(_GAP.sub("  ", _AGE.sub("<age>", line)).rstrip() for line in lines) + "\n"


def page(text: str, hashes: Mapping[str, str]) -> str:
    """`kubectl describe`; of the events each kind of transition once, as their order within a second is open."""
    body, _, table = portrait(text, hashes).partition("\nEvents:")
    wish, _, state = body.partition("\nStatus:")
    for pattern, word in _EVIDENCE:
        state, table = pattern.sub(word, state), pattern.sub(word, table)
    body = f"{wish}\nStatus:{state}"
    shown = [_SPAN.sub("<span>", line) if "Message:" in line else line for line in body.splitlines()]
    return "\n".join(line.rstrip() for line in [*shown, "Events:", *_events(table)]) + "\n"


def _events(table: str) -> list[str]:
    """Type, reason and message of each event: the columns without age and source."""
    rows = [_GAP.split(line.strip(), maxsplit=4) for line in table.splitlines()[3:]]
    return sorted({f"  {cells[0]}  {cells[1]}  {_SPAN.sub('<span>', cells[-1])}" for cells in rows if len(cells) == 5})
