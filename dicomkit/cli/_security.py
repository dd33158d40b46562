"""TLS and user identity on the command line.

A secret comes from a file or the environment: an argument can be read by everybody on the machine, and stays in the
shell's history.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from dicomkit.cli._exit import WrongUsage
from dicomkit.cli._terminal import Console
from dicomkit.errors import SecurityError

if TYPE_CHECKING:
    from dicomkit.security import TlsOptions, UserIdentity

_FLAG_OF_OPTION = {
    "ca_file": "--ca",
    "cert_file": "--cert",
    "key_file": "--key",
    "key_password": "--key-password-file",
    "server_name": "--server-name",
    "identity": "--user",
}


def security_of(
    options: argparse.Namespace, host: str, console: Console
) -> tuple[TlsOptions | None, UserIdentity | None]:
    """How to secure associations with `host`, and in whose name to ask for them. May raise WrongUsage."""
    # What is wrong with the files is said before anything else is done.
    tls, identity = _tls(options, lambda tls: tls.for_client(host)), _identity(options)
    if identity is not None and (identity.passcode or identity.json_web_token) and tls is None:
        console.say("dicomkit: the password or token goes over the network unencrypted; --tls encrypts it")
    return tls, identity


def receiver_security_of(options: argparse.Namespace) -> tuple[TlsOptions | None, list[UserIdentity] | None]:
    """How a receiver secures its associations, and whom it lets in. May raise WrongUsage."""
    identity = _identity(options)
    return _tls(options, lambda tls: tls.for_server()), None if identity is None else [identity]


def _tls(options: argparse.Namespace, check: Callable[[TlsOptions], object]) -> TlsOptions | None:
    """Any of the options asks for TLS, and none of them for none."""
    if not (options.tls or options.ca or options.cert or options.key or options.server_name):
        return None
    from dicomkit.security import TlsOptions

    try:
        tls = TlsOptions(
            ca_file=options.ca,
            cert_file=options.cert,
            key_file=options.key,
            key_password=_key_password(options),
            server_name=options.server_name,
        )
        check(tls)
    except SecurityError as error:
        raise _wrong(error) from error
    return tls


def _identity(options: argparse.Namespace) -> UserIdentity | None:
    """The user, with the password of a file, or else of ``DICOMKIT_PASSWORD``."""
    if options.user is None and options.jwt_file is None:
        if options.password_file or options.confirm_user:
            raise WrongUsage("--password-file and --confirm-user are about a user; give --user as well")
        return None
    passcode = token = None
    if options.jwt_file is not None:
        token = _secret("--jwt-file", options.jwt_file)
    if options.user is not None:
        passcode = _password("--password-file", options.password_file, "DICOMKIT_PASSWORD")
    from dicomkit.security import UserIdentity

    try:
        return UserIdentity(options.user, passcode, token, options.confirm_user)
    except SecurityError as error:
        raise _wrong(error) from error


def _key_password(options: argparse.Namespace) -> str | None:
    if options.cert is None and options.key_password_file is None:
        return None
    return _password("--key-password-file", options.key_password_file, "DICOMKIT_KEY_PASSWORD")


def _password(flag: str, path: str | None, variable: str) -> str | None:
    return _secret(flag, path) if path is not None else os.environ.get(variable) or None


def _secret(flag: str, path: str) -> str:
    """The content of a file, without the end of its line."""
    try:
        with open(path, encoding="utf-8") as file:
            secret = file.read().rstrip("\r\n")
    except OSError as error:
        raise WrongUsage(f"{flag} {path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError:
        secret = ""  # and not the error's own words, which quote what it met
    if not secret or "\n" in secret:
        raise WrongUsage(f"{flag} {path}: takes a file with one line of text, the secret")
    return secret


def _wrong(error: SecurityError) -> WrongUsage:
    flag = _FLAG_OF_OPTION.get(error.option, error.option)
    reason = error.reason
    for option, other in _FLAG_OF_OPTION.items():
        if option != "identity":
            reason = reason.replace(option, other)
    return WrongUsage(f"{flag}{f' {error.value}' if error.value else ''}: {reason}")
