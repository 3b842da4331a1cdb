"""What a SendGrid account needs to be told."""

from attrs import field, frozen

from fn_notifications.domain.address import EmailAddress


@frozen(kw_only=True)
class SendGridSettings:
    """One SendGrid account. The key needs the `mail.send` permission and no other."""

    api_key: str = field(repr=False)
    from_email: EmailAddress
    from_name: str | None = None
    reply_to: EmailAddress | None = None
    base_url: str = "https://api.sendgrid.com"
    """`https://api.eu.sendgrid.com` for an account in the EU."""
    account: str = "sendgrid"
    """Its name among our routes and in our receipts."""
    sandbox: bool = False
    """SendGrid checks a message, answers 200 and delivers nothing."""
    tracking: bool = False
    """Whether SendGrid rewrites links and adds a pixel, to report opens and clicks."""
    batch: int = 1000
    """How many messages share a request at most; a thousand is SendGrid's own bound."""
    deadline: float = 30.0
    """Seconds one call may take, all in all."""
