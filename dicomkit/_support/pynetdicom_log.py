"""What pynetdicom logs of an association request, without the secrets of its user.

At level DEBUG it writes out user and passcode. Here the handlers that do so are replaced, in one association at a time:
what else in this process uses pynetdicom logs as it did.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from types import SimpleNamespace
from typing import Any, cast

from pynetdicom import evt
from pynetdicom._handlers import standard_pdu_recv_handler, standard_pdu_sent_handler
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_items import UserIdentitySubItemRQ


def _without_secrets(handler: Callable[[evt.Event], object]) -> Callable[[evt.Event], object]:
    return lambda event: handler(_without_identity(event))


_INSTEAD = [
    (evt.EVT_PDU_RECV, standard_pdu_recv_handler, _without_secrets(standard_pdu_recv_handler)),
    (evt.EVT_PDU_SENT, standard_pdu_sent_handler, _without_secrets(standard_pdu_sent_handler)),
]


def _as_it_opens(event: evt.Event) -> None:
    for what, standard, ours in _INSTEAD:
        bound: Any = event.assoc.get_handlers(what)  # pairs of a handler and its arguments
        if any(handler == standard for handler, _ in bound):
            event.assoc.unbind(what, standard)
            event.assoc.bind(what, ours)


WITHOUT_SECRETS = (evt.EVT_CONN_OPEN, _as_it_opens)
"""For the `evt_handlers` of `AE.associate` and of a server: before the first PDU of each association."""


def _without_identity(event: evt.Event) -> evt.Event:
    if not isinstance(event.pdu, A_ASSOCIATE_RQ) or event.pdu.user_information is None:
        return event
    pdu = deepcopy(event.pdu)
    information: Any = pdu.user_information
    information.user_data = [
        item for item in information.user_data if not isinstance(item, UserIdentitySubItemRQ)
    ]
    return cast(evt.Event, SimpleNamespace(assoc=event.assoc, pdu=pdu))
