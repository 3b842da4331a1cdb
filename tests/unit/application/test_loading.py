"""A catalogue that cannot be used says everything that is wrong with it, and where."""

import copy
import tomllib
from datetime import timedelta

import pytest

from fn_notifications.adapters.memory.addresses import StrictAddresses
from fn_notifications.adapters.memory.paths import DottedPaths
from fn_notifications.application.errors import Misconfigured
from fn_notifications.application.loading import CatalogueError, load
from fn_notifications.domain.address import EMAIL, SMS
from fn_notifications.domain.catalogue import InDoubt, OverCap, Priority

WHOLE = """
version = "1"

[types.flagged]
channels = ["sms", "email"]
priority = "high"
window = "15m"
ttl = "2d"
in_doubt = "resend_if_alone"
over_cap = "skip"
duplicates_allowed = true
unsubscribable = true
batch = 50
required = ["post"]
optional.score = "percent"

[people.owner]
source = "provisional"
user = "id"
fields.timezone = "zone"

[events."post.flagged"]
key = ["flag_id", ["post_id", "flagger_id"]]
variables.post = ["title", "post.title"]
learns.owner = "owner"

[events."post.flagged".parties.owner]
type = "flagged"
user = ["user_id", "owner.id"]

[whatsapp.en]
flagged = "HX00000000000000000000000000000001"
"""


def loaded(document):
    return load(document, DottedPaths(), StrictAddresses(), lambda _: None)


def problems(change):
    document = copy.deepcopy(tomllib.loads(WHOLE))
    change(document)
    with pytest.raises(CatalogueError) as refused:
        loaded(document)
    assert isinstance(refused.value, Misconfigured)
    return refused.value.problems


def test_a_whole_document():
    catalogue = loaded(tomllib.loads(WHOLE))
    type_ = catalogue.types["flagged"]
    assert (type_.channels, type_.priority) == ((SMS, EMAIL), Priority.HIGH)
    assert (type_.window, type_.ttl) == (timedelta(minutes=15), timedelta(days=2))
    assert (type_.in_doubt, type_.over_cap) == (InDoubt.RESEND_IF_ALONE, OverCap.SKIP)
    assert (type_.duplicates_allowed, type_.unsubscribable, type_.batch) == (True, True, 50)
    assert (type_.required, type_.optional) == (("post",), ("score",))
    assert catalogue.content_sids == {"en": {"flagged": "HX00000000000000000000000000000001"}}
    (party,) = catalogue.events["post.flagged"].parties
    assert (party.name, party.type, party.required) == ("owner", "flagged", ("post",))


def test_a_variable_without_a_converter_is_a_short_line():
    catalogue = loaded(tomllib.loads(WHOLE))
    (party,) = catalogue.events["post.flagged"].parties
    assert len(party.variables_of({"title": "x" * 1000})[0]["post"]) == 500


def _set(*path, to):
    def change(document):
        for key in path[:-1]:
            document = document.setdefault(key, {})
        document[path[-1]] = to

    return change


def _drop(*path):
    def change(document):
        for key in path[:-1]:
            document = document[key]
        del document[path[-1]]

    return change


EVENT = ("events", "post.flagged")


@pytest.mark.parametrize(
    ("change", "place", "mistake"),
    [
        (_set("types", "flagged", "tll", to="1h"), "types.flagged", "unknown: tll"),
        (_set("types", "flagged", "ttl", to="1 hour"), "types.flagged.ttl", "'1 hour' is no duration"),
        (_set("types", "flagged", "ttl", to=60), "types.flagged.ttl", "60 is no duration"),
        (_set("types", "flagged", "channels", to=["emial"]), "types.flagged.channels", "'emial' is no channel"),
        (_set("types", "flagged", "priority", to="huge"), "types.flagged.priority", "'huge'"),
        (_set("types", "flagged", "batch", to=0), "types.flagged.batch", "whole number from 1 to 1000"),
        (_set("types", "flagged", "unsubscribable", to="no"), "types.flagged.unsubscribable", "true or false"),
        (_set("types", "flagged", "optional", "score", to="percnt"), "types.flagged.optional", "no converter 'percnt'"),
        (_set("types", "flagged", "optional", "Score!", to="percent"), "types.flagged.optional", "'Score!' is no name"),
        (_set("types", "flagged", "optional", "post", to="text(5)"), "types.flagged", "required and optional"),
        (_drop("version"), "", "version is missing"),
        (_set("version", to=1), "version", "expected text"),
        (_set("notes", to="x"), "", "unknown: notes"),
        (_drop(*EVENT, "parties", "owner", "user"), 'events."post.flagged".parties.owner', "user is missing"),
        (
            _set(*EVENT, "parties", "owner", "user", to=[]),
            'events."post.flagged".parties.owner.user',
            "expected a path",
        ),
        (_set(*EVENT, "parties", "owner", "user", to="a..b"), 'events."post.flagged".parties.owner.user', "'a..b'"),
        (_set(*EVENT, "key", to=[["a", 5]]), 'events."post.flagged".key', "expected a path"),
        (_set(*EVENT, "parties", "owner", "type", to="x"), 'events."post.flagged".parties.owner.type', "no type 'x'"),
        (_set(*EVENT, "variables", "colour", to="c"), 'events."post.flagged".variables.colour', "no party's type"),
        (
            _set(*EVENT, "parties", "owner", "variables", "colour", to="c"),
            'events."post.flagged".parties.owner.variables.colour',
            "flagged declares no such variable",
        ),
        (_drop(*EVENT, "variables"), 'events."post.flagged".parties.owner', "flagged requires 'post'"),
        (_drop(*EVENT, "key"), 'events."post.flagged".parties.owner', "has no key"),
        (_set(*EVENT, "learns", "finder", to="f"), 'events."post.flagged".learns.finder', "no such entry"),
        (_set("events", "empty", to={}), 'events."empty"', "concerns nobody"),
        (_set("people", "owner", "source", to="me"), "people.owner.source", "neither users nor provisional"),
        (_set("people", "owner", "fields", "email", to="e"), "people.owner.fields.email", "users service"),
        (_set("people", "owner", "fields", "opt_in.whatsapp", to="o"), "people.owner.fields.opt_in", "users service"),
        (_set("people", "owner", "fields", "shoe_size", to="s"), "people.owner.fields", "no field 'shoe_size'"),
        (_set("given_words", to="flagged"), "given_words", "no type that requires a body"),
        (_set("given_words", to="nonsense"), "given_words", "no type that requires a body"),
        (_set("whatsapp", "en", "flagged", to="HX1"), "whatsapp.en.flagged", "HX and 32 hexadecimal digits"),
        (_set("whatsapp", "en", "x", to="HX" + "0" * 32), "whatsapp.en.x", "no such type"),
    ],
)
def test_a_mistake_and_its_place(change, place, mistake):
    (problem,) = problems(change)
    assert problem.startswith(place)
    assert mistake in problem


def test_all_mistakes_of_form_at_once():
    def change(document):
        document["types"]["flagged"] |= {"ttl": "x", "channels": ["fax"], "pirority": "low"}
        document["events"]["post.flagged"]["key"] = ["a b"]
        document["people"]["owner"]["user"] = 5

    found = problems(change)
    assert len(found) == 5
    assert all(any(word in problem for problem in found) for word in ("ttl", "fax", "pirority", "a b", "people"))


def test_all_mistakes_of_meaning_at_once():
    def change(document):
        document["people"]["owner"] |= {"source": "me", "fields": {"shoe_size": "s"}}
        document["events"]["empty"] = {}
        document["whatsapp"]["en"]["flagged"] = "HX1"

    assert len(problems(change)) == 4


def test_the_message_lists_them():
    with pytest.raises(CatalogueError, match=r"(?s)cannot be used:\n  .*version is missing"):
        loaded({})
