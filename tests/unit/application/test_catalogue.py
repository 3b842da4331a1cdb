"""What a rule finds in an event's body."""

from datetime import UTC

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fn_notifications.adapters.memory.addresses import StrictAddresses
from fn_notifications.adapters.memory.paths import DottedPaths
from fn_notifications.application.loading import load
from fn_notifications.domain.preferences import Source

DOCUMENT = {
    "version": "1",
    "given_words": "note",
    "types": {
        "note": {"required": {"title": "text(20)", "body": "lines(50)"}},
        "match": {"ttl": "48h", "required": {"item": "text(10)"}, "optional": {"confidence": "percent"}},
    },
    "people": {
        "person": {"source": "provisional", "user": "id", "fields": {"timezone": "tz", "language": ["lang", "l"]}},
        "account": {"source": "users", "user": ["user_id", "id"], "fields": {"email": "email", "phone": "phone"}},
    },
    "events": {
        "matched": {
            "key": ["match_id", ["post_id", "other_id"]],
            "variables": {"item": ["title", "post.title"], "confidence": "score"},
            "learns": {"person": ["poster", "others"], "account": "@"},
            "parties": {
                "poster": {"type": "match", "user": ["user_id", "poster.id"]},
                "other": {
                    "type": "match",
                    "user": "other.id",
                    "key": "other_key",
                    "variables": {"item": "other.title"},
                },
            },
        }
    },
}
CATALOGUE = load(DOCUMENT, DottedPaths(), StrictAddresses(), lambda name: UTC if name == "UTC" else None)
POSTER, OTHER = CATALOGUE.events["matched"].parties
PERSON, OTHERS, ACCOUNT = CATALOGUE.events["matched"].learns

names = st.sampled_from(
    ("user_id", "id", "poster", "other", "others", "match_id", "post_id", "other_id", "title", "tz", "email", "score")
)
bodies = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text("a\0\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
)


@given(body=bodies)
def test_no_body_breaks_a_rule(body):
    """Whatever came, the answers can be stored: text without NUL or lone surrogates, of bounded length."""
    for party in (POSTER, OTHER):
        for name in (party.user_of(body), party.key_of(body)):
            assert name is None or (0 < len(name.encode()) <= 4 * 255 and "\0" not in name)
        values, missing = party.variables_of(body)
        assert set(missing) == {"item"} - values.keys()
    for learning in (PERSON, OTHERS, ACCOUNT):
        for user_id, fields in learning.facts(body):
            assert user_id.encode()
            assert all(str(value).encode() for value in fields.values())
        learning.problems(body)


class TestWho:
    def test_the_first_place_that_names_somebody(self):
        assert POSTER.user_of({"user_id": "u-1", "poster": {"id": "u-2"}}) == "u-1"
        assert POSTER.user_of({"user_id": None, "poster": {"id": "u-2"}}) == "u-2"
        assert POSTER.user_of({"user_id": "", "poster": {"id": "u-2"}}) == "u-2"
        assert POSTER.user_of({"other": {"id": "u-3"}}) is None

    @pytest.mark.parametrize("odd", [5, True, [], {}, "  ", "a\0b", "a\nb", "\ud800", "x" * 256])
    def test_what_is_no_id_names_nobody(self, odd):
        assert POSTER.user_of({"user_id": odd}) is None


class TestKey:
    def test_alternatives_in_order(self):
        assert POSTER.key_of({"match_id": "m-1", "post_id": "a", "other_id": "b"}) == "m-1"
        assert POSTER.key_of({"match_id": None, "post_id": "a", "other_id": "b"}) == "a&b"
        assert POSTER.key_of({"post_id": "a"}) is None
        assert OTHER.key_of({"match_id": "m-1", "other_key": 7}) == "7"

    @given(one=st.text(min_size=1, max_size=30), other=st.text(min_size=1, max_size=30))
    def test_both_posts_in_whatever_order(self, one, other):
        forth, back = {"post_id": one, "other_id": other}, {"post_id": other, "other_id": one}
        assert POSTER.key_of(forth) == POSTER.key_of(back)

    @given(
        one=st.lists(st.text("ab&%", min_size=1, max_size=4), min_size=2, max_size=2).map(sorted),
        other=st.lists(st.text("ab&%", min_size=1, max_size=4), min_size=2, max_size=2).map(sorted),
    )
    @example(one=["a", "b&c"], other=["a&b", "c"])
    def test_different_parts_make_different_keys(self, one, other):
        keys = [POSTER.key_of({"post_id": pair[0], "other_id": pair[1]}) for pair in (one, other)]
        assert (keys[0] == keys[1]) == (one == other)

    def test_a_long_key_is_a_digest(self):
        key = POSTER.key_of({"post_id": "\u6f22" * 250, "other_id": "b"})
        assert key is not None
        assert len(key) == 64


class TestVariables:
    def test_values_are_converted_and_absent_ones_left_out(self):
        assert POSTER.variables_of({"title": " Blue umbrella ", "score": 0.5}) == (
            {"item": "Blue umbr…", "confidence": 50},
            [],
        )
        assert POSTER.variables_of({"title": {"en": "x"}, "post": {"title": "Keys"}}) == ({"item": "Keys"}, [])

    def test_a_party_s_own_place_wins(self):
        assert OTHER.variables_of({"title": "Mine", "other": {"title": "Theirs"}})[0] == {"item": "Theirs"}

    def test_a_missing_required_one_is_named(self):
        assert POSTER.variables_of({"score": 91}) == ({"confidence": 91}, ["item"])


class TestLearning:
    def test_facts_with_their_source(self):
        body = {"poster": {"id": "u-1", "tz": "UTC", "l": "es"}}
        assert PERSON.facts(body) == [("u-1", {"timezone": "UTC", "language": "es"})]
        assert (PERSON.source, ACCOUNT.source) == (Source.PROVISIONAL, Source.EVENT)

    def test_nobody_is_no_fact(self):
        assert PERSON.facts({"poster": {"tz": "UTC"}}) == []

    def test_somebody_of_whom_nothing_is_said_is_there(self):
        assert PERSON.facts({"poster": {"id": "u-1"}}) == [("u-1", {})]

    def test_a_list_tells_about_several(self):
        body = {"others": [{"id": "u-1", "lang": "es"}, {"lang": "fr"}, {"id": "u-2"}]}
        assert OTHERS.facts(body) == [("u-1", {"language": "es"}), ("u-2", {})]

    def test_what_is_invalid_is_left_out_and_reported(self):
        body = {"user_id": "u-1", "email": "not an address", "phone": "+15005550006"}
        assert ACCOUNT.facts(body) == [("u-1", {"phone": "+15005550006"})]
        assert ACCOUNT.problems(body) == ["email_invalid"]

    def test_a_later_place_may_be_valid(self):
        body = {"poster": {"id": "u-1", "lang": "not a language", "l": "es"}}
        assert PERSON.facts(body) == [("u-1", {"language": "es"})]
        assert PERSON.problems(body) == []


class TestGivenWords:
    def test_every_type_takes_a_title_and_a_body(self):
        values, missing = CATALOGUE.accept("match", {"item": "Keys", "title": "Hi", "body": "a\nb", "other": "dropped"})
        assert values == {"item": "Keys", "title": "Hi", "body": "a\nb"}
        assert missing == []
        assert CATALOGUE.types["match"].optional == ("title", "body", "confidence")

    def test_what_a_caller_owes_is_named(self):
        assert CATALOGUE.accept("note", {"title": " "}) == ({}, ["title", "body"])

    def test_an_unknown_type_is_a_key_error(self):
        with pytest.raises(KeyError):
            CATALOGUE.accept("nonsense", {})
