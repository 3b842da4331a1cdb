"""What every `Mailbox` keeps to. Subclass, provide the `subject` fixture: an empty mailbox and a way to fill it."""

from collections.abc import Awaitable, Callable

from attrs import frozen

from fn_notifications.application.ports.sending import Mailbox


@frozen(kw_only=True)
class Subject:
    """An empty mailbox, and what sends it one email with the given text."""

    mailbox: Mailbox
    send: Callable[[str], Awaitable[object]]


class MailboxContract:
    """Rules for looking at what was received."""

    async def test_it_begins_empty(self, subject: Subject) -> None:
        """Nothing is received before it is sent."""
        assert list(subject.mailbox.messages()) == []

    async def test_messages_stand_in_the_order_they_came(self, subject: Subject) -> None:
        """Oldest first, each with what a person would look for."""
        for text in ("one", "two", "three"):
            await subject.send(text)
        messages = subject.mailbox.messages()
        assert [message.text.strip() for message in messages] == ["one", "two", "three"]
        assert all(message.to == "ana@example.com" for message in messages)
        assert all(message.answer == "accepted" and message.attempt_id for message in messages)

    async def test_looking_changes_nothing_and_what_was_seen_stays(self, subject: Subject) -> None:
        """A list once given does not grow behind its reader's back."""
        await subject.send("one")
        seen = subject.mailbox.messages()
        await subject.send("two")
        assert len(seen) == 1
        assert len(subject.mailbox.messages()) == len(subject.mailbox.messages()) == 2

    async def test_no_address_shows_in_the_repr_of_a_message(self, subject: Subject) -> None:
        """A message may end in a traceback or a debugger's log."""
        await subject.send("secret words")
        text = repr(subject.mailbox.messages()[0])
        assert "ana@example.com" not in text
        assert "secret words" not in text
