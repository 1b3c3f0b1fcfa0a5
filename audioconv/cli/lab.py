"""``audioconv lab``: a page to record, train, listen and correct, served to the browser of this computer."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
from pathlib import Path
from typing import Annotated

import typer

from audioconv.cli.options import add_command, flag
from audioconv.cli.terminal import make_folder, printable, say, write
from audioconv.errors import DataError, missing_extra

PORT = 8765
TRIED_PORTS = 20
"""Without --port, so many ports from the first one are tried."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add_command(
        app,
        lab,
        "audioconv lab",
        "audioconv lab recordings",
        "audioconv lab recordings --port 9000 --no-browser",
        "audioconv lab recordings --host 192.168.1.20 --certificate cert.pem --key key.pem",
    )


def lab(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="The project: a folder with one subfolder a class; it is made if it is not there."
        ),
    ] = Path("recordings"),
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="PORT",
            help=f"Port to listen at; 0 takes a free one. By default {PORT}, or the next free one.",
            show_default=False,
        ),
    ] = None,
    no_browser: Annotated[bool, flag("--no-browser", "Print the page's address alone; open no browser.")] = False,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen at; one that other machines reach needs --certificate and --key, or --insecure.",
            rich_help_panel="Other machines",
        ),
    ] = "127.0.0.1",
    certificate: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Certificate in PEM, for https.",
            show_default=False,
            rich_help_panel="Other machines",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Key of the certificate.", show_default=False, rich_help_panel="Other machines"
        ),
    ] = None,
    host_name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Another name by which browsers may call this machine.",
            show_default=False,
            rich_help_panel="Other machines",
        ),
    ] = None,
    insecure: Annotated[
        bool,
        flag(
            "--insecure",
            "Let other machines connect without encryption; their browsers give no microphone to such a page.",
            "Other machines",
        ),
    ] = False,
) -> None:
    r"""Record, train, listen and correct in the browser, on this computer.

    The project is FOLDER: a subfolder a class, manifest.csv, and models/. What the page does, the command line can go
    on with, and the other way round. It needs the extra `lab`: pip install 'audioconv\[lab]'. Ctrl-C stops, with the
    exit code 0.

    Only this computer reaches the page, and only by the address that is opened, which holds a random token.
    """
    _check(host, certificate, key, insecure)
    make_folder(folder)
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        from audioconv.lab.app import new_guard
        from audioconv.lab.run import LabService, run
        from audioconv.serving.addresses import is_loopback, name_of

        listener = stack.enter_context(_listen(host, port))
        on_loopback = is_loopback(listener)
        if not on_loopback and certificate is None and not insecure:
            raise typer.BadParameter(
                f"other machines reach {name_of(listener)}: give --certificate and --key, or --insecure",
                param_hint="'--host'",
            )
        guard = new_guard(host, host_name or [], on_loopback=on_loopback)
        scheme = "https" if certificate else "http"
        address = f"{scheme}://{name_of(listener)}/#token={(guard.token or b'').decode()}"

        def ready(_lab: object) -> None:
            write(f"lab: {address}")
            say("Ctrl-C stops")
            if not no_browser:
                _open(address)

        service = LabService(folder, listener, guard, certificate=certificate, key=key)
        run(service, ready, lambda line: say(f"internal error: {printable(line)}", style="red"))
        say("stopped")


def _check(host: str, certificate: Path | None, key: Path | None, insecure: bool) -> None:
    """Refuse options that exclude each other, and a missing extra."""
    if (certificate is None) != (key is None):
        raise typer.BadParameter("a certificate needs its key, and the key its certificate; give both")
    if certificate is not None and insecure:
        raise typer.BadParameter("--certificate encrypts and --insecure does not; give one of them")
    names = ("starlette", "uvicorn", "websockets", "h11")
    try:
        is_there = all(importlib.util.find_spec(name) is not None for name in names)
    except ValueError:  # a name that was blocked
        is_there = False
    if not is_there:
        raise missing_extra("audioconv lab", "lab")


def _listen(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens at `port`; without one, at the first free one from `PORT`."""
    from audioconv.serving.addresses import Address

    if port is not None:
        return Address(host, port).listen()
    for number in range(PORT, PORT + TRIED_PORTS):
        with contextlib.suppress(DataError):
            return Address(host, number).listen()
    return Address(host, 0).listen()


def _open(address: str) -> None:
    """Open the page in the browser, where there is one; in a thread, since some browsers keep their caller."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
