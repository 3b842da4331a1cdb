"""What a verified webhook held."""

from attrs import frozen

from fn_notifications.domain.receipts import Receipt


@frozen
class Reports:
    """The receipts of one request, in its order, and how many of its entries said nothing that we use."""

    receipts: tuple[Receipt, ...]
    skipped: int = 0
