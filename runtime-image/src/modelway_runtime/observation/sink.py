"""Where events go: a URL that whoever configures the runtime has chosen, asked over one connection that is kept."""

import http.client
import ssl
from urllib.parse import urlsplit

from modelway_runtime import __version__
from modelway_runtime.observation.events import Event

_PATIENCE_SECONDS = 5.0
_MOST_ANSWER_BYTES = 64 * 1024


class Sink:
    """Sends events. Follows no redirect. Belongs to one thread."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        self._connection = (
            http.client.HTTPSConnection(host, port, timeout=_PATIENCE_SECONDS, context=ssl.create_default_context())
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=_PATIENCE_SECONDS)
        )
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def send(self, event: Event) -> None:
        """Raises OSError where the sink does not take it."""
        was_kept = self._connection.sock is not None
        try:
            status = self._status(event)
        except ConnectionError:
            if not was_kept:
                raise
            # A connection that was kept may have been closed meanwhile.
            status = self._status(event)
        if not 200 <= status < 300:
            raise OSError(f"status {status}")

    def close(self) -> None:
        """Ends the connection; another one is made when it is needed."""
        self._connection.close()

    def _status(self, event: Event) -> int:
        """Of the answer; raises OSError, and leaves no connection then that is in the middle of something."""
        headers = {"User-Agent": f"modelway-runtime/{__version__}", **event.headers}
        try:
            self._connection.request("POST", self._target, event.body, headers)
            answer = self._connection.getresponse()
            has_more = len(answer.read(_MOST_ANSWER_BYTES)) == _MOST_ANSWER_BYTES
        except OSError:
            self.close()
            raise
        except http.client.HTTPException as error:
            self.close()
            raise OSError(f"{type(error).__name__}: {error}") from error
        if has_more:
            self.close()
        return answer.status
