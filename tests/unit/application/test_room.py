"""What one wave may begin: the sum over its calls, however it came about."""

from collections import Counter
from math import ceil, inf

from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.application.room import Allotment

ROUTES = ("a/email", "b/email")
WAYS = st.sampled_from([("a/email", 1), ("a/email", 2), ("a/email", 3), ("b/email", 2)])
CALLS = st.fixed_dictionaries(dict.fromkeys(ROUTES, st.integers(1, 3)))
PERMITS = st.fixed_dictionaries(dict.fromkeys(ROUTES, st.one_of(st.just(inf), st.integers(0, 4))))


@given(calls=CALLS, permits=PERMITS, steps=st.lists(st.one_of(WAYS, st.integers(0, 5)), min_size=10, max_size=40))
def test_what_fits_is_what_calls_and_permits_are_left_for(calls, permits, steps):
    room, begun = Allotment(dict(calls), dict(permits)), list[tuple[str, int]]()
    for step in steps:
        if isinstance(step, int):
            if begun:
                room.give_back(begun.pop(step % len(begun)))
            continue
        together = Counter(way for way in (*begun, step) if way[0] == step[0])
        needed = sum(ceil(messages / size) for (_, size), messages in together.items())
        fits = needed <= calls[step[0]] and together.total() <= permits[step[0]]
        assert room.fits(step) is fits
        if fits:
            room.take(step)
            begun.append(step)
