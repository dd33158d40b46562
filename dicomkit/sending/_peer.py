"""What a setting says about whom to send to, and whether to send at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicomkit.results import Outcome
from dicomkit.wire.socket import Peer

if TYPE_CHECKING:
    from dicomkit.security import TlsOptions, UserIdentity
    from dicomkit.settings import DicomSenderSetting


def why_not(setting: DicomSenderSetting) -> tuple[Outcome, str] | None:
    """The outcome and detail of everything sent by a setting that is disabled or cannot be used; else None."""
    if setting.disabled:
        return Outcome.SKIPPED, "the setting is disabled, so nothing was sent; set Disabled to false"
    problems = [problem for problem in setting.usability_problems() if problem.severity == "error"]
    if problems:
        return Outcome.INVALID_MESSAGE, "the setting cannot be used: " + "; ".join(map(str, problems))
    return None


def peer_of(
    setting: DicomSenderSetting, tls: TlsOptions | None = None, identity: UserIdentity | None = None
) -> Peer:
    """The peer that a setting names, with its timeout for every phase; a `TypeError` names what is of no right type."""
    from dicomkit.settings import DicomSenderSetting

    _expect("setting", setting, DicomSenderSetting)
    if tls is not None:
        from dicomkit.security import TlsOptions

        _expect("tls", tls, TlsOptions)
    if identity is not None:
        from dicomkit.security import UserIdentity

        _expect("identity", identity, UserIdentity)
    return Peer(
        setting.remote_host,
        setting.remote_port,
        setting.our_aet,
        setting.remote_aet,
        setting.timeout_seconds,
        None if tls is None else tls.for_client(setting.remote_host),
        identity,
    )


def _expect(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{name} is of type {type(value).__name__}; it takes a {kind.__name__}")
