"""Keys, certificates, tokens and kubeconfigs of a cluster, made with openssl for the life of one cluster."""

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from cluster.shell import run

DAYS = "30"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user known by a static token."""

    name: str
    user: str
    groups: tuple[str, ...] = ()


ADMIN = Account(name="admin", user="admin", groups=("system:masters",))


def authority(folder: Path, name: str) -> None:
    """A certificate authority: NAME.crt and NAME.key."""
    new = ("openssl", "req", "-x509", *NEW_KEY, "-days", DAYS, "-subj", f"/CN={name}")
    usage = ("-addext", "keyUsage=critical,keyCertSign,digitalSignature")
    run([*new, *usage, "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt"])


def certificate(folder: Path, name: str, *, issuer: str, subject: str, addresses: tuple[str, ...] = ()) -> None:
    """A certificate of `issuer`, for a server when it has addresses (`IP:…`, `DNS:…`), else for a client."""
    new = ("openssl", "req", "-x509", *NEW_KEY, "-days", DAYS, "-subj", subject)
    signer = ("-CA", f"{folder}/{issuer}.crt", "-CAkey", f"{folder}/{issuer}.key")
    extensions = [
        "basicConstraints=critical,CA:false",
        f"extendedKeyUsage={'serverAuth' if addresses else 'clientAuth'}",
        *([f"subjectAltName={','.join(addresses)}"] if addresses else []),
    ]
    options = [word for extension in extensions for word in ("-addext", extension)]
    run([*new, *signer, *options, "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt"])


def signing_key(folder: Path, name: str) -> None:
    """The key pair of service-account tokens: NAME.key and NAME.pub."""
    run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{folder}/{name}.key"])
    run(["openssl", "ec", "-in", f"{folder}/{name}.key", "-pubout", "-out", f"{folder}/{name}.pub"])


def token_line(token: str, account: Account) -> str:
    """A line of the API server's token file; the user name is its own uid."""
    groups = ",".join(account.groups)
    return f'{token},{account.user},{account.user},"{groups}"\n'


def kubeconfig(*, server: str, authority: bytes, token: str) -> str:
    """A kubeconfig of one context, as JSON (which is YAML)."""
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(authority).decode()}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "modelway",
        "contexts": [{"name": "modelway", "context": {"cluster": "modelway", "user": "modelway"}}],
        "clusters": [{"name": "modelway", "cluster": cluster}],
        "users": [{"name": "modelway", "user": {"token": token}}],
    }
    return json.dumps(config, indent=1) + "\n"


def write_accounts(folder: Path, *, server: str, accounts: tuple[Account, ...]) -> dict[str, str]:
    """NAME.kubeconfig for each account, and `tokens.csv`, in `folder`; the tokens by account name."""
    tokens = {account.name: secrets.token_hex(16) for account in accounts}
    root = (folder / "cluster-ca.crt").read_bytes()
    write_secret(folder / "tokens.csv", "".join(token_line(tokens[each.name], each) for each in accounts))
    for name, token in tokens.items():
        write_secret(folder / f"{name}.kubeconfig", kubeconfig(server=server, authority=root, token=token))
    return tokens


def write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def issue_control_plane(folder: Path, *, addresses: tuple[str, ...]) -> None:
    """An API server's certificate and token key, and its client certificates for kubelets and aggregation."""
    folder.mkdir(parents=True, exist_ok=True)
    authority(folder, "cluster-ca")
    authority(folder, "front-proxy-ca")
    certificate(folder, "apiserver", issuer="cluster-ca", subject="/CN=kube-apiserver", addresses=addresses)
    certificate(folder, "kubelet-client", issuer="cluster-ca", subject="/O=system:masters/CN=kubelet-client")
    certificate(folder, "front-proxy", issuer="front-proxy-ca", subject="/CN=front-proxy-client")
    signing_key(folder, "service-account")
