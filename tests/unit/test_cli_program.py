"""The command line as a process sees it: kubeconfigs, answers of an API server, exit codes, and what is printed."""

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from modelway import names
from modelway.cli import arguments
from modelway.cli.exits import Exit
from modelway.cli.program import run

FRAUD: dict[str, Any] = {
    "metadata": {"name": "fraud", "namespace": "payments", "uid": "u-1", "generation": 1},
    "spec": {"model": {"uri": "s3://models/fraud", "format": "onnx"}},
    "status": {
        "observedGeneration": 1,
        "phase": "Progressing",
        "rollout": {"id": 2, "revision": "fraud-b", "strategy": "Canary", "stepIndex": 0},
    },
}


def refusal(code: int, message: str, **details: Any) -> tuple[int, Any]:
    """A Status as the API server answers with it."""
    return code, {"kind": "Status", "code": code, "message": message} | ({"details": details} if details else {})


@dataclass
class Server:
    """An API server that gives the answers that it was told, in order; the last one again and again."""

    url: str = ""
    answers: deque[tuple[int, Any]] = field(default_factory=deque)
    patches: list[Any] = field(default_factory=list)

    def answer(self, method: str, body: bytes) -> tuple[int, Any]:
        """To one request. A patch is obeyed at the next read but one."""
        if method == "POST":
            return 201, {"status": {"userInfo": {"username": "ada"}}}
        if method == "PATCH":
            self.patches.append(json.loads(body))
            return 200, FRAUD
        return self.answers.popleft() if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            code, content = told.answer(self.command, body)
            text = content if isinstance(content, str) else json.dumps(content)
            self.send_response(code)
            self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815  the library's names

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        told.url = f"http://127.0.0.1:{listener.server_port}"
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        yield told
        listener.shutdown()
        thread.join()


def kubeconfig(folder: Path, server: str, *, current: bool = True) -> str:
    """The path of a kubeconfig with the context `test`."""
    content = {
        "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u", "namespace": "payments"}}],
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    } | ({"current-context": "test"} if current else {})
    path = folder / "kubeconfig"
    path.write_text(json.dumps(content))
    return str(path)


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        pytest.param((404, "404 page not found"), Exit.REFUSED, "does not know ModelDeployments", id="no CRD"),
        pytest.param(refusal(404, "not found", name="fraud"), Exit.REFUSED, "no ModelDeployment fraud in", id="none"),
        pytest.param(refusal(401, "Unauthorized"), Exit.REFUSED, "Log in to the cluster again", id="not logged in"),
        pytest.param(refusal(403, "ada may not"), Exit.REFUSED, "not allowed: ada may not\n", id="no right"),
        pytest.param(refusal(503, "starting"), Exit.UNREACHABLE, "answered 503: starting\n", id="not up yet"),
        pytest.param((502, "Bad Gateway"), Exit.UNREACHABLE, "answered 502: Bad Gateway\n", id="a proxy in between"),
        pytest.param(refusal(422, "too long"), Exit.REFUSED, "answered 422: too long\n", id="anything else"),
    ],
)
def test_what_the_api_server_refuses_is_said_in_its_words_with_the_way_out(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: Any, code: Exit, said: str
) -> None:
    server.answers.append(answer)
    assert run("modelway", ["status", "fraud", "--kubeconfig", kubeconfig(tmp_path, server.url)]) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("{clusters: [", "no usable kubeconfig", id="no YAML"),
        pytest.param("", "no usable kubeconfig", id="empty"),
        pytest.param("[]", "no usable kubeconfig", id="a list"),
        pytest.param("apiVersion: v1\n", "no usable kubeconfig", id="no context"),
    ],
)
def test_a_kubeconfig_that_is_none_is_named_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    assert run("modelway", ["status", "--kubeconfig", str(path)]) == Exit.UNREACHABLE
    assert said in capsys.readouterr().err


def test_a_context_is_enough_where_none_is_current(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers.append((200, {"items": [FRAUD]}))
    path = kubeconfig(tmp_path, server.url, current=False)
    assert run("modelway", ["--kubeconfig", path, "--context", "test", "status"]) == Exit.DONE
    assert "payments" in capsys.readouterr().out


def test_a_server_that_is_not_there_is_told_from_a_refusal(
    unused_tcp_port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = kubeconfig(tmp_path, f"http://127.0.0.1:{unused_tcp_port}")
    assert run("modelway", ["abort", "fraud", "--kubeconfig", path]) == Exit.UNREACHABLE
    assert "the API server does not answer" in capsys.readouterr().err


def test_waiting_outlives_an_api_server_that_restarts(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers += [(200, FRAUD), refusal(503, "starting"), refusal(404, "not found", name="fraud")]
    path = kubeconfig(tmp_path, server.url)
    assert run("modelway", ["promote", "fraud", "--wait", "--kubeconfig", path]) == Exit.REFUSED
    shown = capsys.readouterr()
    assert "answered 503: starting; asks again" in shown.out
    assert "there is no ModelDeployment fraud" in shown.err
    assert len(server.patches) == 1


def test_waiting_ends_at_once_where_another_command_is_written_over_it(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = {
        "raw": "pause",
        "id": "other",
        "verb": "pause",
        "by": "bob (claimed)",
        "result": "Accepted",
        "message": "It stays",
    }
    other = {"metadata": FRAUD["metadata"] | {"annotations": {names.COMMAND_ANNOTATION: "pause"}}}
    rollout = FRAUD["status"]["rollout"] | {"lastCommand": last}
    server.answers += [(200, FRAUD), (200, FRAUD | other | {"status": FRAUD["status"] | {"rollout": rollout}})]
    path = kubeconfig(tmp_path, server.url)
    assert run("modelway", ["promote", "fraud", "--wait", "--kubeconfig", path]) == Exit.OVERTAKEN
    assert "fraud: another command followed: pause by bob (claimed): It stays\n" in capsys.readouterr().out


def test_nobody_who_reads_is_no_error_with_a_traceback(server: Server, tmp_path: Path) -> None:
    server.answers.append((200, {"items": [FRAUD]}))
    words = [sys.executable, "-m", "modelway.cli", "status", "--kubeconfig", kubeconfig(tmp_path, server.url)]
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (Exit.NOBODY_READS, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["abort", ""], "'' is no name of a ModelDeployment", id="an empty variable"),
        pytest.param(["status", "."], "'.' is no name", id="a path"),
        pytest.param(["status", "mdep/fraud"], "write it alone, such as fraud", id="a kind before the name"),
        pytest.param(["status", "-n", "a/b"], "'a/b' is no name of a namespace", id="a namespace that cannot be"),
        pytest.param(["status", "fraud", "-A"], "not both", id="a name in every namespace"),
        pytest.param(["undo", "fraud", "--to-revision", "0"], "'0' is no number of a revision", id="revision 0"),
        pytest.param([], "COMMAND", id="nothing"),
    ],
)
def test_wrong_usage_is_explained_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        run("modelway", words)
    assert ended.value.code == Exit.USAGE
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["-n", "payments", "status"], ["status", "-n", "payments"]])
def test_the_namespace_may_stand_before_and_after_the_command(words: list[str]) -> None:
    assert arguments.parse("modelway", words).access.namespace == "payments"


def test_in_a_pod_without_a_kubeconfig_its_service_account_is_taken(tmp_path: Path) -> None:
    pod = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "127.0.0.1"}
    words = [sys.executable, "-m", "modelway.cli", "status"]
    ended = subprocess.run(
        words, env=pod | {"KUBERNETES_SERVICE_PORT": "1"}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == Exit.UNREACHABLE
    assert "Service token file does not exist" in ended.stderr
