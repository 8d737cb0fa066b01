"""The review as a server of this machine, until it is stopped; then tables and pages are written."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.review.desk import Desk
from pipeline.review.guard import Guard
from pipeline.workflow.run import write_report_of

__all__ = ["serve"]

_LOOPBACK = "127.0.0.1"


def serve(folder: Path, port: int, ready: Callable[[str], None]) -> Path:
    """Serve a batch until the process is told to stop; the report's first page, written after.

    Parameters
    ----------
    folder
        The batch.
    port
        0 takes a free one.
    ready
        Called with the address, which holds the token, once the port is open.

    Raises
    ------
    UsageError
        If the port is taken.
    DamagedFile, InputRefused
        As `pipeline.review.desk.Desk`.
    """
    import uvicorn

    from pipeline.review.app import create_app

    desk = Desk(folder)
    listener = _listen(port)
    guard = Guard(listener.getsockname()[1])
    config = uvicorn.Config(
        create_app(desk, guard), log_level="warning", access_log=False, server_header=False, lifespan="off"
    )
    ready(f"http://{_LOOPBACK}:{listener.getsockname()[1]}/?token={guard.token}")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service is stopped like a person's
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:  # how it is meant to end
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
        listener.close()
    return write_report_of(folder)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_LOOPBACK, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise UsageError(f"port {port} cannot be used; another program has it, or give --port 0") from error
    return listener
