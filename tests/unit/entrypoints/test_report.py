"""The ledger as a document."""

from fn_notifications.application.ports.ledger import Ledger
from fn_notifications.domain.lifecycle import Status
from fn_notifications.entrypoints.report import ledger_document


def test_counts_are_always_in_the_same_order():
    states = list(Status)
    ledger = Ledger(deliveries=dict.fromkeys(reversed(states), 1), archived={"repeats": 1, "held": 2})
    document = ledger_document(ledger)
    assert list(document["deliveries"]) == states
    assert list(document["archived"]) == ["held", "repeats"]
