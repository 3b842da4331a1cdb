"""Reports on their way in: what comes while others are being stored is stored together, in one transaction."""

import asyncio
from collections.abc import Sequence

from attrs import define, field, frozen

from fn_notifications.application.errors import Unavailable
from fn_notifications.application.ports.receipts import Receipts
from fn_notifications.domain.receipts import Receipt


@frozen
class _Post:
    reports: Sequence[Receipt]
    stored: asyncio.Future[None]


@define
class Inbox:
    """The inbox of one process. However many calls come in at once, it holds one connection."""

    receipts: Receipts
    most: int = 2_000
    """Reports in one transaction, unless a single call brings more."""
    _posts: list[_Post] = field(factory=list, init=False)
    _writing: asyncio.Task[None] | None = field(default=None, init=False)

    async def receive(self, reports: Sequence[Receipt]) -> None:
        """Store the reports of one call; returns once they are. Raises the port's errors: for a report that cannot be
        stored only whoever brought it.
        """
        post = _Post(reports, asyncio.get_running_loop().create_future())
        self._posts.append(post)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="inbox")
        await post.stored

    async def _write(self) -> None:
        try:
            while self._posts:
                await self._store(self._together())
        finally:
            self._writing = None

    def _together(self) -> list[_Post]:
        """The next of them, at least one."""
        taken, amount = 1, len(self._posts[0].reports)
        while taken < len(self._posts) and (amount := amount + len(self._posts[taken].reports)) <= self.most:
            taken += 1
        posts, self._posts = self._posts[:taken], self._posts[taken:]
        return posts

    async def _store(self, posts: Sequence[_Post]) -> None:
        try:
            await self.receipts.receive([report for post in posts for report in post.reports])
        except Exception as error:  # noqa: BLE001 - it is raised where the reports came from
            if len(posts) == 1 or isinstance(error, Unavailable):
                _answer(posts, error)
                return
            for post in posts:
                await self._store([post])
        else:
            _answer(posts)


def _answer(posts: Sequence[_Post], error: Exception | None = None) -> None:
    """Tell those who still wait."""
    for post in posts:
        if post.stored.done():
            continue
        if error is None:
            post.stored.set_result(None)
        else:
            post.stored.set_exception(error)
