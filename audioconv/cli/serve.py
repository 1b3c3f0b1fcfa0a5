"""``audioconv serve``: models as network services."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audioconv.cli.options import FalseAcceptsPerHour, Hop, Threshold, add_command, flag, model_path
from audioconv.cli.terminal import printable, say
from audioconv.errors import ConfigError, missing_extra

if TYPE_CHECKING:
    from audioconv.serving.http_guard import Guard
    from audioconv.serving.models import ServedModels


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add_command(
        app,
        serve,
        "audioconv serve model --wyoming tcp://127.0.0.1:10400",
        "audioconv serve lights kitchen --wyoming tcp://0.0.0.0:10400 --zeroconf",
        "audioconv serve model --http 127.0.0.1:8080",
        "audioconv serve model --http 0.0.0.0:8080 --token-file token",
        "audioconv serve model --wyoming tcp://127.0.0.1:10400 --http 127.0.0.1:8080",
    )


def serve(
    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL", help="The models: .safetensors files, or folders that `train` wrote."),
    ],
    wyoming: Annotated[
        str | None,
        typer.Option(
            metavar="tcp://HOST:PORT",
            help="Serve wake words by the Wyoming protocol, for Home Assistant.",
            show_default=False,
            rich_help_panel="Services",
        ),
    ] = None,
    http: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Serve recordings and streams by HTTP.",
            show_default=False,
            rich_help_panel="Services",
        ),
    ] = None,
    zeroconf: Annotated[
        bool, flag("--zeroconf", "Announce the Wyoming service, so that Home Assistant finds it.", "Services")
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A file with the token that HTTP clients must send; by default AUDIOCONV_TOKEN holds it.",
            show_default=False,
            rich_help_panel="Security",
        ),
    ] = None,
    host_name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Another name by which HTTP clients may call this machine.",
            show_default=False,
            rich_help_panel="Security",
        ),
    ] = None,
    max_clients: Annotated[
        int, typer.Option(min=1, max=256, metavar="N", help="Clients of each service.", rich_help_panel="Limits")
    ] = 32,
    max_upload: Annotated[
        float, typer.Option(min=0.001, max=4000, metavar="MB", help="Largest recording.", rich_help_panel="Limits")
    ] = 32.0,
    max_seconds: Annotated[
        float,
        typer.Option(min=1, max=86400, metavar="SECONDS", help="Time for one request.", rich_help_panel="Limits"),
    ] = 60.0,
    max_idle: Annotated[
        float,
        typer.Option(
            min=1, max=86400, metavar="SECONDS", help="Time after which a silent stream ends.", rich_help_panel="Limits"
        ),
    ] = 300.0,
    threshold: Threshold = None,
    false_accepts_per_hour: FalseAcceptsPerHour = None,
    hop: Hop = 0.1,
) -> None:
    r"""Serve models to other programs: wake words for Home Assistant, recordings and streams by HTTP.

    --wyoming serves each word of the models as a wake word, and needs the extra `wyoming`: pip install
    'audioconv\[wyoming]'. --http answers POST /classify with JSON, and detects words in streams at the WebSocket
    /stream; /openapi.json describes it. It needs the extra `serve`. Both may run together. Ctrl-C stops, with the exit
    code 0.

    At an address that other machines reach, HTTP needs a token of 16 characters or more, in AUDIOCONV_TOKEN or in a
    file. The Wyoming protocol has no tokens. Port 0 takes a free port.
    """
    if threshold is not None and false_accepts_per_hour is not None:
        raise typer.BadParameter("a threshold and a number of false accepts exclude each other; give one of them")
    _check_services(wyoming, http, zeroconf)
    from audioconv.serving.limits import Limits

    limits = Limits(max_clients, round(max_upload * 1e6), max_seconds, max_idle)
    # Ctrl-C while models are loaded; later on, the services end by it.
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        wyoming_socket, http_socket, guard = _listen(stack, wyoming, http, zeroconf, token_file, host_name or [])
        served = _load(models, false_accepts_per_hour)
        from audioconv.serving.run import Services, run

        name = f"audioconv-{socket.gethostname().partition('.')[0]}" if zeroconf else None
        services = Services(served, wyoming_socket, http_socket, guard, limits, threshold, hop, name)
        services.warm_up()
        run(services, say, lambda line: say(f"internal error: {printable(line)}", style="red"))
        say("stopped")


def _check_services(wyoming: str | None, http: str | None, zeroconf: bool) -> None:
    """Refuse options that name no service, or one whose extra is not installed."""
    if wyoming is None and http is None:
        raise typer.BadParameter(
            "there is nothing to serve; give --wyoming tcp://127.0.0.1:10400 or --http 127.0.0.1:8080, or both"
        )
    if zeroconf and wyoming is None:
        raise typer.BadParameter("it announces the Wyoming service: give --wyoming as well", param_hint="'--zeroconf'")
    if wyoming is not None and not _are_installed("wyoming", *["zeroconf"] * zeroconf):
        raise missing_extra("--wyoming", "wyoming")
    if http is not None and not _are_installed("starlette", "uvicorn", "websockets"):
        raise missing_extra("--http", "serve")


def _are_installed(*modules: str) -> bool:
    try:
        return all(importlib.util.find_spec(module) is not None for module in modules)
    except ValueError:  # a name that was blocked
        return False


def _listen(
    stack: contextlib.ExitStack,
    wyoming: str | None,
    http: str | None,
    zeroconf: bool,
    token_file: Path | None,
    host_names: list[str],
) -> tuple[socket.socket | None, socket.socket | None, Guard | None]:
    """Return the sockets of both services and the guard of the second one; `stack` closes the sockets."""
    from audioconv.serving import announcing
    from audioconv.serving.addresses import Address, is_loopback

    wyoming_address = None if wyoming is None else Address.parse(wyoming, "tcp")
    http_address = None if http is None else Address.parse(http, "http")
    wyoming_socket = http_socket = guard = None
    if wyoming_address is not None:
        wyoming_socket = stack.enter_context(wyoming_address.listen())
        if zeroconf:
            announcing.check(wyoming_socket)
        if not is_loopback(wyoming_socket):
            say("note: other machines reach the Wyoming service, and its protocol has no tokens", style="yellow")
    if http_address is not None:
        http_socket = stack.enter_context(http_address.listen())
        guard = _guard(http_socket, http_address.host, token_file, host_names)
    return wyoming_socket, http_socket, guard


def _load(models: list[Path], false_accepts_per_hour: float | None) -> ServedModels:
    from audioconv.kernels import precompile
    from audioconv.model import Model as LoadedModel
    from audioconv.serving.models import ServedModels

    paths = [model_path(path) for path in models]
    loaded = [LoadedModel.load(path) for path in paths]
    if false_accepts_per_hour is not None:
        loaded = [
            replace(one, decision=one.decision.at(false_accepts_per_hour=false_accepts_per_hour)) for one in loaded
        ]
    precompile.start(precompile.USE)
    return ServedModels.named(zip(paths, loaded, strict=True))


def _guard(listener: socket.socket, host: str, token_file: Path | None, host_names: list[str]) -> Guard:
    from audioconv.serving import http_guard
    from audioconv.serving.addresses import is_loopback, name_of

    token = http_guard.read_token(token_file)
    on_loopback = is_loopback(listener)
    if token is None and not on_loopback:
        raise ConfigError(
            f"other machines reach {name_of(listener)}: set {http_guard.TOKEN_VARIABLE}, or give --token-file; "
            "127.0.0.1 is for this machine alone and needs no token"
        )
    if token_file is not None and http_guard.is_readable_by_others(token_file):
        say(f"note: other users of this machine may read {printable(str(token_file))}: chmod 600", style="yellow")
    return http_guard.Guard(http_guard.host_names(host, host_names, on_loopback=on_loopback), token)
