"""What a report proves of its attempt, and what it means for the address."""

import pytest
from hypothesis import given

from fn_notifications.domain.events import Evidence
from fn_notifications.domain.receipts import CAUSES, EVIDENCE, SUPPRESSES, Receipt, ReceiptKind
from fn_notifications.testing.histories import receipts


def test_every_report_proves_something_of_the_attempt_it_names_but_a_start() -> None:
    assert set(ReceiptKind) - set(EVIDENCE) == {ReceiptKind.OPTED_IN}


def test_an_attempt_that_failed_for_an_opt_out_did_not_arrive() -> None:
    assert EVIDENCE[ReceiptKind.OPTED_OUT] is Evidence.UNDELIVERED


@pytest.mark.parametrize(
    "kind", [ReceiptKind.COMPLAINED, ReceiptKind.UNSUBSCRIBED, ReceiptKind.OPENED, ReceiptKind.CLICKED]
)
def test_whoever_complains_or_clicks_has_got_it(kind: ReceiptKind) -> None:
    assert EVIDENCE[kind] is Evidence.DELIVERED


def test_no_report_says_that_a_message_was_never_sent() -> None:
    assert min(EVIDENCE.values()) is Evidence.ACCEPTED


@given(receipts())
def test_complaint_unsubscribe_and_stop_suppress_and_so_does_a_hard_bounce(receipt: Receipt) -> None:
    always = {ReceiptKind.COMPLAINED, ReceiptKind.UNSUBSCRIBED, ReceiptKind.OPTED_OUT}
    hard_bounce = receipt.kind is ReceiptKind.BOUNCED and receipt.hard
    assert receipt.suppresses == (receipt.kind in always or hard_bounce)


def test_every_suppression_has_a_cause_and_start_lifts_only_that_of_stop() -> None:
    assert set(CAUSES) == SUPPRESSES | {ReceiptKind.OPTED_IN}
    assert [kind for kind, cause in CAUSES.items() if cause == CAUSES[ReceiptKind.OPTED_IN]] == [
        ReceiptKind.OPTED_OUT,
        ReceiptKind.OPTED_IN,
    ]
