"""Who goes first within one lane and priority: start-time fair queueing, with ranks given once, when a row comes.

A rank is a point of virtual time. Each type takes one turn after another, and so does each person within a type: what
somebody has waiting already does not stand before another person's first message, nor one type's before another's.
"""

from typing import Final

from attrs import frozen

_TURN: Final = 2
"""A person's next message stands two turns behind their last, so that others' first ones find room in between."""


@frozen
class Turn:
    """A rank, and the last turn that the message's type has taken then."""

    rank: int
    last: int


def next_turn(floor: int, last: int, highest: int | None) -> Turn:
    """The rank of one more message.

    `floor` is where the lane has got to: the lowest rank among those ready, so that a type that was silent for long
    has saved up nothing. `last` is the last turn of the message's type, `highest` the rank of the last of its person's
    open messages, None without any. Whoever has messages waiting beyond their type's next turn stands behind those
    and leaves the turn to somebody else.
    """
    turn = max(floor, last + 1)
    if highest is not None and highest + _TURN >= turn:
        return Turn(highest + _TURN, last)
    return Turn(turn, turn)
