"""The flags that several commands share. Every flag can also come from GLUSTER_STATE_<FLAG>."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from reconciler.catalogue.versions import DEFAULT, INSTALLED, VERSIONS
from reconciler.cli.app import App
from reconciler.errors import UsageError
from reconciler.model.endpoints import address_of
from reconciler.model.report import Connection

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]

DEFAULT_TIMEOUT_S = 5.0


def examples(*lines: str) -> str:
    r"""Return the end of a command's help: lines that click leaves as they are (its mark is ``\b``)."""
    return "\b\n" + "\n".join(["Examples:", *(f"  {line}" for line in lines)])


def flag(*names: str, **settings: Any) -> Callable[[F], F]:
    """Declare an option; its long name gives the environment variable."""
    long = next(name for name in names if name.startswith("--")).split("/")[0]
    variable = "GLUSTER_STATE_" + long.removeprefix("--").replace("-", "_").upper()
    return click.option(*names, envvar=variable, **settings)


def output(*forms: str) -> Callable[[F], F]:
    """Declare ``-o``; the first form is the default."""
    return flag(
        "-o", "--output", "form", type=click.Choice(forms), default=forms[0], show_default=True,
        help="Form of the answer on stdout.",
    )  # fmt: skip


def files(function: F) -> F:
    """Declare where the declaration is: ``-f`` as often as wanted, or plain arguments."""
    option = flag(
        "-f", "--file", "file", multiple=True, metavar="PATH",
        help="YAML file, directory (its *.yaml and *.yml) or - for stdin; may be repeated.",
    )  # fmt: skip
    argument = click.argument("paths", nargs=-1, metavar="[PATH]...")
    return option(argument(catalogue(function)))


def allow(function: F) -> F:
    """Declare ``--allow CODE=ADDRESS``."""
    return flag(
        "--allow", multiple=True, metavar="CODE=ADDRESS",
        help="Consent to one destructive change, as the plan names it; may be repeated.",
    )(function)  # fmt: skip


def catalogue(function: F) -> F:
    """Declare which libraries' options count; the app gets the value."""
    return flag(
        "--catalogue", metavar="FILE|DIR|VERSION", default=DEFAULT, show_default=True,
        expose_value=False, callback=_on_catalogue,
        help="What GlusterFS's libraries know: a file of 'options dump', a folder of libraries (of this "
        f"machine: {INSTALLED}), or a version that comes along ({', '.join(VERSIONS)}).",
    )(function)  # fmt: skip


def connection(function: F) -> F:
    """Declare how to reach the cluster; `connection_of` reads the values."""
    decorators = (
        flag("--etcd", metavar="URL[,URL]...", help="etcd's client URLs."),
        flag("--cluster", metavar="NAME", help="The cluster's name; a declaration or plan gives it, too."),
        flag("--etcd-ca", "ca", metavar="FILE", default="", help="CA certificate of etcd (PEM)."),
        flag("--etcd-cert", "cert", metavar="FILE", default="", help="Our client certificate (PEM)."),
        flag("--etcd-key", "key", metavar="FILE", default="", help="Its private key (PEM)."),
        flag(
            "--etcd-timeout", "timeout", type=click.FloatRange(min=0.1, max=600), default=DEFAULT_TIMEOUT_S,
            show_default=True, help="Seconds for each call to etcd.",
        ),
    )  # fmt: skip
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def connection_of(given: dict[str, Any], cluster: str | None = None) -> Connection:
    """Return how to connect, from the values of `connection`'s flags.

    Args:
        given: the flags' values by parameter name; they are taken out of it.
        cluster: the name that a declaration or a plan carries.

    Raises:
        UsageError: no endpoint or name is known, or two names disagree.
    """
    endpoints = tuple(part.strip() for part in (given.pop("etcd") or "").split(",") if part.strip())
    named = given.pop("cluster")
    files_given = {"ca_file": given.pop("ca"), "cert_file": given.pop("cert"), "key_file": given.pop("key")}
    timeout = given.pop("timeout")
    if not endpoints:
        raise UsageError(
            "no etcd endpoint is given", hint="use --etcd http://HOST:2379 or set GLUSTER_STATE_ETCD"
        )
    for endpoint in endpoints:
        if "://" not in endpoint:
            raise UsageError(
                f"{endpoint!r} is no etcd URL", hint="write it as http://HOST:PORT or https://HOST:PORT"
            )
        address_of(endpoint, tls=bool(files_given["ca_file"]))
    if math.isnan(timeout):
        raise UsageError("--etcd-timeout must be a number of seconds")
    _check_tls_files(files_given)
    if cluster and named and named != cluster:
        raise UsageError(
            f"--cluster is {named!r}, but the declaration or plan is for {cluster!r}",
            hint="drop --cluster (and GLUSTER_STATE_CLUSTER), or use the other file",
        )
    name = cluster or named
    if not name:
        raise UsageError("no cluster is named", hint="use --cluster NAME or set GLUSTER_STATE_CLUSTER")
    return Connection(endpoints=endpoints, cluster=name, timeout_s=timeout, **files_given)


def _check_tls_files(given: Mapping[str, str]) -> None:
    cert, key = given["cert_file"], given["key_file"]
    if bool(cert) != bool(key):
        raise UsageError("--etcd-cert and --etcd-key go together: a certificate is used with its key")
    if cert and not given["ca_file"]:
        raise UsageError("--etcd-cert needs --etcd-ca, too: the certificate to know etcd by")


def _on_catalogue(context: click.Context, parameter: click.Parameter, value: str) -> None:  # noqa: ARG001 - click's signature
    app = context.find_object(App)
    if app is not None:
        app.catalogue = value


def _on_display(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    app = context.find_object(App)
    if app is None or value is None or value is False:
        return
    if parameter.name == "color":
        app.restyle(color=value)
    elif parameter.name == "ascii":
        app.restyle(ascii_only=True)
    else:
        app.restyle(width=value)


def display() -> list[click.Parameter]:
    """Return fresh ``--color``, ``--ascii``, ``--width`` parameters; every command takes them."""

    def option(*names: str, **settings: Any) -> click.Option:
        variable = "GLUSTER_STATE_" + names[0].removeprefix("--").upper()
        return click.Option(
            names, envvar=variable, expose_value=False, callback=_on_display, is_eager=True, **settings
        )

    return [
        option(
            "--color", type=click.Choice(["auto", "always", "never"]), help="Colour; auto honours NO_COLOR."
        ),
        option("--ascii", is_flag=True, help="Use ASCII only."),
        option("--width", type=click.IntRange(40, 1000), metavar="N", help="Columns to wrap text at."),
    ]
