"""HTTP sessions to the API server, configured by the `kubernetes` package: host, TLS, proxy, credentials."""

import asyncio
import os
import ssl
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

import aiohttp
from aiohttp.client_middlewares import ClientHandlerType, ClientMiddlewareType
from kubernetes.aio import config
from kubernetes.aio.client import Configuration

from modelway import __version__

USER_AGENT = f"modelway-operator/{__version__}"
RELOAD_SECONDS = 5.0
"""The least time between two reloads of refused credentials."""


class Connection:
    """Where the API server is and who we are to it. Makes sessions that follow a rotated token."""

    def __init__(self, *, kubeconfig: Path | None = None, context: str | None = None) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._configuration = Configuration()
        self._loads = 0
        self._loaded_at = float("-inf")
        self._reload_lock = asyncio.Lock()

    @classmethod
    async def open(cls, *, kubeconfig: Path | None = None, context: str | None = None) -> "Connection":
        """Read a kubeconfig, or the pod's service account when none is given and none is in use."""
        connection = cls(kubeconfig=kubeconfig, context=context)
        connection._configuration = await connection._load()
        return connection

    @property
    def server(self) -> str:
        """`https://host:port`, without a slash at the end."""
        return str(self._configuration.host).rstrip("/")

    def session(
        self, *, connections: int = 64, middlewares: Sequence[ClientMiddlewareType] = ()
    ) -> aiohttp.ClientSession:
        """A new session; the caller closes it. `connections` 0 is no limit (watches need one each)."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=self._tls(), keepalive_timeout=60),
            headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
            proxy=self._configuration.proxy,
            middlewares=(*middlewares, self._authorize),
        )

    def _tls(self) -> ssl.SSLContext | bool:
        configuration = self._configuration
        if not self.server.startswith("https:"):
            return True
        tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None)
        if configuration.cert_file:
            tls.load_cert_chain(configuration.cert_file, configuration.key_file)
        if not configuration.verify_ssl:
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE
        return tls

    async def _authorize(self, request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
        """Send the present token; on 401 read the credentials again and ask once more."""
        if self._configuration.tls_server_name:
            request.server_hostname = self._configuration.tls_server_name
        loads = self._loads
        await self._add_token(request)
        response = await handler(request)
        if response.status != HTTPStatus.UNAUTHORIZED or not await self._reloaded_since(loads):
            return response
        response.release()
        await self._add_token(request)
        return await handler(request)

    async def _add_token(self, request: aiohttp.ClientRequest) -> None:
        # This asks the package's hook, which reads a service account's token again once a minute.
        token = await self._configuration.get_api_key_with_prefix("BearerToken")
        if token:
            request.headers["Authorization"] = token.strip()

    async def _reloaded_since(self, loads: int) -> bool:
        """Read the credentials again, unless another request did so meanwhile or a moment ago."""
        async with self._reload_lock:
            now = asyncio.get_running_loop().time()
            if self._loads == loads and now - self._loaded_at >= RELOAD_SECONDS:
                self._loads, self._loaded_at = loads + 1, now
                fresh = await self._load()
                self._configuration.api_key = fresh.api_key
                self._configuration.refresh_api_key_hook = fresh.refresh_api_key_hook
            return self._loads != loads

    async def _load(self) -> Configuration:
        configuration = Configuration()
        if self._kubeconfig is None and self._context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=configuration)
            return configuration
        await config.load_kube_config(
            config_file=None if self._kubeconfig is None else str(self._kubeconfig),
            context=self._context,
            client_configuration=configuration,
            persist_config=False,
        )
        return configuration
