"""The oracle: what was published, what the providers saw and what the database holds, held against each other."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import define, field, frozen
from tests.chaos.mischief import Disturbance

from fn_notifications.domain.events import Evidence
from fn_notifications.domain.identity import attempt_id
from fn_notifications.simulator.journal import Call

ATTEMPTS = """
SELECT a.notification_id, a.delivery_no, a.no, a.started_at, a.answered_at, a.evidence, a.epoch, a.route, a.code,
       s.worker, s.epoch_then, n.user_id, d.channel
FROM attempts a
JOIN deliveries d ON (d.tenant, d.notification_id, d.no) = (a.tenant, a.notification_id, a.delivery_no)
JOIN notifications n ON (n.tenant, n.id) = (a.tenant, a.notification_id)
LEFT JOIN seen_attempts s
    ON (s.notification_id, s.delivery_no, s.no) = (a.notification_id, a.delivery_no, a.no)
"""
DOUBTS = "SELECT DISTINCT notification_id, delivery_no, no FROM seen_doubts"
CONSENT = "SELECT DISTINCT user_id, channel, epoch, allowed FROM seen_consent"
RESENDS = "SELECT notification_id, no, resends FROM deliveries WHERE resends > 0"


@frozen(kw_only=True)
class Attempt:
    """An attempt as it was recorded, with what the witness saw."""

    id: str
    delivery: str
    started_at: datetime
    answered_at: datetime | None
    evidence: Evidence
    epoch: int
    epoch_then: int | None
    route: str
    code: str | None
    pid: int | None
    user_id: str
    channel: str


@define(kw_only=True)
class Verdict:
    """Counts for the last line, and what is wrong, in words."""

    lost: int = 0
    unexpected: int = 0
    sent_after_opt_out: int = 0
    duplicates: int = 0
    in_doubt_opened: int = 0
    ambiguous_calls: int = 0
    in_doubt_resends: int = 0
    problems: list[str] = field(factory=list)

    def complain(self, what: str, cases: Iterable[object]) -> int:
        """Note a problem and its first cases. Returns how many there are."""
        found = list(cases)
        if found:
            self.problems.append(f"{what}: {len(found)}, such as {', '.join(map(str, found[:3]))}")
        return len(found)


def attempt_of(row: Sequence[Any]) -> Attempt:
    """A row of `ATTEMPTS`."""
    id_, delivery_no, no, started_at, answered_at, evidence, epoch, route, code, worker, then, user_id, channel = row
    return Attempt(
        id=attempt_id(id_, delivery_no, no),
        delivery=f"{id_.hex}-{delivery_no}",
        started_at=started_at,
        answered_at=answered_at,
        evidence=Evidence(evidence),
        epoch=epoch,
        epoch_then=then,
        route=route,
        code=code,
        pid=int(worker.rsplit("-", 2)[1]) if worker else None,
        user_id=user_id,
        channel=channel,
    )


def judge_calls(verdict: Verdict, attempts: Mapping[str, Attempt], calls: Sequence[Call]) -> None:
    """Every request carries attempts that were recorded before it, and no attempt is called twice."""
    strangers = [call for call in calls if not call.attempts or not attempts.keys() >= set(call.attempts)]
    named = [(id_, call) for call in calls if call not in strangers for id_ in call.attempts]
    early = [id_ for id_, call in named if call.at < attempts[id_].started_at]
    often = [id_ for id_, times in Counter(id_ for id_, _ in named).items() if times > 1]
    verdict.unexpected += verdict.complain("requests without an attempt", strangers)
    verdict.unexpected += verdict.complain("requests before their attempt", early)
    verdict.unexpected += verdict.complain("attempts called more than once", often)


def judge_duplicates(verdict: Verdict, calls: Sequence[Call], resends: Mapping[str, int]) -> None:
    """No delivery is accepted more often than once and once for each resend of a doubt."""
    accepted = Counter(id_.rpartition("-")[0] for call in calls if call.accepted for id_ in call.attempts)
    verdict.duplicates = sum(times - 1 for times in accepted.values())
    verdict.in_doubt_resends = sum(resends.values())
    verdict.complain(
        "deliveries accepted too often",
        (f"{key} ({times} times)" for key, times in accepted.items() if times > 1 + resends.get(key, 0)),
    )


def judge_doubts(
    verdict: Verdict,
    attempts: Mapping[str, Attempt],
    calls: Sequence[Call],
    doubted: Sequence[str],
    disturbances: Sequence[Disturbance],
) -> None:
    """A doubt is opened only about a call that could have lost its answer."""
    of = {id_: call for call in calls for id_ in call.attempts}
    ambiguous = {
        id_
        for id_, attempt in attempts.items()
        if (id_ in of and of[id_].ambiguous) or any(_touched(attempt, one) for one in disturbances)
    }
    verdict.in_doubt_opened, verdict.ambiguous_calls = len(doubted), len(ambiguous)
    verdict.complain(
        "doubts without a reason",
        (f"{id_} ({attempts[id_].code})" for id_ in doubted if id_ not in ambiguous),
    )


def _touched(attempt: Attempt, disturbance: Disturbance) -> bool:
    """Whether it was begun and its answer not written down when a disturbance of its process came; by one clock."""
    if disturbance.pid not in (None, attempt.pid) or attempt.started_at > disturbance.ended:
        return False
    return attempt.answered_at is None or attempt.answered_at >= disturbance.began


def judge_consent(verdict: Verdict, attempts: Iterable[Attempt], seen: Iterable[tuple[str, str, int, bool]]) -> None:
    """By epochs: what an attempt was allowed under allowed it, and was in force when it was written."""
    allowed: dict[tuple[str, str, int], set[bool]] = defaultdict(set)
    for user_id, channel, epoch, permitted in seen:
        allowed[user_id, channel, epoch].add(permitted)
    verdict.complain("epochs that allowed and forbade", (key for key, said in allowed.items() if len(said) > 1))
    sent = list(attempts)
    verdict.sent_after_opt_out = verdict.complain(
        "attempts against consent",
        (one.id for one in sent if allowed[one.user_id, one.channel, one.epoch] != {True}),
    ) + verdict.complain(
        "attempts under an epoch that was over", (one.id for one in sent if one.epoch_then not in (None, one.epoch))
    )
