"""What a Twilio account needs to be told."""

from attrs import field, frozen

from fn_notifications.domain.address import PhoneNumber


@frozen(kw_only=True)
class TwilioSettings:
    """One Twilio account. SMS goes by the messaging service when one is named, else from the number; WhatsApp from its
    number, else by the messaging service.
    """

    account_sid: str
    auth_token: str = field(repr=False)
    phone_number: PhoneNumber | None = None
    whatsapp_number: PhoneNumber | None = None
    messaging_service_sid: str | None = None
    status_callback_url: str | None = None
    """Public; Twilio reports there. May end in connection overrides (`#rc=5&rp=all` makes it repeat lost reports)."""
    base_url: str = "https://api.twilio.com"
    account: str = "twilio"
    """Its name among our routes and in our receipts."""
    deadline: float = 15.0
    """Seconds one call may take, all in all."""
