"""Who may talk to the review: this machine, with the token of this start, by forms of its own pages.

A page of another site cannot reach it: the host name must be this machine's, every request
carries a cookie that another site's request does not have (``SameSite=Strict``), and a form
is taken once only and only if it was made for this address by this process.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Mapping
from urllib.parse import parse_qs

from pipeline.errors import UsageError

__all__ = ["COOKIE", "HEADERS", "MOST_BYTES", "FormRefused", "Guard"]

COOKIE = "nadir_review"
MOST_BYTES = 16_384  # of a form
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class FormRefused(UsageError):
    """A form that no page of this process made, that was sent before, or that cannot be read."""


class Guard:
    """The secrets of one start of the server.

    Parameters
    ----------
    port
        On which it listens.
    """

    def __init__(self, port: int) -> None:
        self.token = secrets.token_urlsafe(24)
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
        self._key = secrets.token_bytes(32)
        self._sent: set[str] = set()
        self._lock = threading.Lock()

    def knows_host(self, host: str) -> bool:
        """Whether a request was meant for this server."""
        return host in self._hosts

    def knows_origin(self, origin: str) -> bool:
        """Whether a form was sent from a page of this server; browsers that say nothing are let through."""
        return not origin or origin.removeprefix("http://") in self._hosts

    def admits(self, token: str) -> bool:
        """Whether a token is this start's."""
        return secrets.compare_digest(token.encode(), self.token.encode())

    def seal(self, path: str) -> str:
        """A value that lets one form be sent to a path, once."""
        nonce = secrets.token_urlsafe(12)
        return f"{nonce}.{self._mark(nonce, path)}"

    def fields(self, body: bytes, path: str) -> Mapping[str, str]:
        """Read a form that was sent to a path.

        Raises
        ------
        FormRefused
            If it is too long or unreadable, has a field twice, or its seal is not one of
            this path that was never used.
        """
        if len(body) > MOST_BYTES:
            raise FormRefused("the form is too long")
        try:
            named = parse_qs(
                body.decode("utf-8"), keep_blank_values=True, strict_parsing=True, errors="strict",
                max_num_fields=20,
            )  # fmt: skip
        except ValueError as error:
            raise FormRefused("the form cannot be read") from error
        if any(len(values) != 1 for values in named.values()):
            raise FormRefused("a field stands twice in the form")
        fields = {name: values[0].strip() for name, values in named.items()}
        self._use(fields.pop("seal", ""), path)
        return fields

    def _use(self, seal: str, path: str) -> None:
        nonce, _, mark = seal.partition(".")
        if not hmac.compare_digest(mark.encode(), self._mark(nonce, path).encode()):
            raise FormRefused("this form was not made by this page; open the page again")
        with self._lock:
            if nonce in self._sent:
                raise FormRefused("this form was sent before; open the page again")
            self._sent.add(nonce)

    def _mark(self, nonce: str, path: str) -> str:
        return hmac.new(self._key, f"{nonce} {path}".encode(), hashlib.sha256).hexdigest()
