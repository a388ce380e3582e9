"""The certificate authority of a test cluster, and kubeconfig files for whom it vouches."""

from __future__ import annotations

import base64
import json
import secrets
from typing import TYPE_CHECKING, Any

from tests.cluster.system import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DAYS = 30


class Authority:
    """Signs clients, nodes and servers; all files are in one folder, keys readable by root alone.

    Attributes:
        certificate: what everyone in the cluster trusts.
        token_key: the key that signs service accounts' tokens.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self._folder = folder
        self._key, self.certificate = folder / "ca.key", folder / "ca.crt"
        self.token_key = folder / "tokens.key"
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.token_key)
        _openssl(
            "req",
            "-x509",
            "-new",
            *_KEY,
            "-keyout",
            self._key,
            "-subj",
            "/CN=test-cluster",
            "-days",
            DAYS,
            "-out",
            self.certificate,
        )

    def client(self, user: str, groups: Sequence[str] = ()) -> tuple[Path, Path]:
        """A certificate and its key for a user of the API who is in some groups."""
        organizations = "".join(f"/O={group}" for group in groups)
        return self._issue(
            f"client-{user.replace(':', '-')}", f"{organizations}/CN={user}", "extendedKeyUsage=clientAuth"
        )

    def server(self, name: str, alternatives: Sequence[str]) -> tuple[Path, Path]:
        """A certificate and its key for a server with these names (``DNS:…``) and addresses (``IP:…``)."""
        extensions = f"extendedKeyUsage=serverAuth\nsubjectAltName={','.join(alternatives)}"
        return self._issue(f"server-{name}", f"/CN={name}", extensions)

    def _issue(self, name: str, subject: str, extensions: str) -> tuple[Path, Path]:
        certificate, key, request = (self._folder / f"{name}.{suffix}" for suffix in ("crt", "key", "csr"))
        extension_file = self._folder / f"{name}.ext"
        extension_file.write_text(extensions)
        _openssl("req", "-new", *_KEY, "-keyout", key, "-subj", subject, "-out", request)
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key,
            "-set_serial", secrets.randbits(63), "-extfile", extension_file, "-days", DAYS, "-out", certificate,
        )  # fmt: skip
        return certificate, key


def write_kubeconfig(path: Path, server: str, authority: Path, user: dict[str, Any]) -> Path:
    """Write a kubeconfig file that stands on its own.

    Args:
        path: the file.
        server: the URL of the API.
        authority: the certificate that the server's is signed by.
        user: the credentials, in the words of the format.
    """
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority-data": encoded(authority)}}],
        "users": [{"name": "test", "user": user}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=1))
    return path


def encoded(file: Path) -> str:
    """A file's content as a kubeconfig embeds it."""
    return base64.b64encode(file.read_bytes()).decode()


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _openssl(*arguments: str | int | Path) -> None:
    run("openssl", *map(str, arguments))
