"""The catalogue that is shipped: every sample comes to what it should, every message can be sent."""

import json
import os
import re
import subprocess
import sys
import tomllib
from datetime import timedelta
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fn_notifications.adapters.addresses.canonical import CanonicalAddresses
from fn_notifications.adapters.jmespath.paths import JmesPaths
from fn_notifications.adapters.templates.jinja import JinjaRenderer
from fn_notifications.application.loading import load
from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP
from fn_notifications.domain.catalogue import InDoubt, Priority
from fn_notifications.domain.preferences import Source
from fn_notifications.domain.segments import Encoding, cost

FOLDER = Path(str(resources.files("fn_notifications"))) / "catalogue"
SAMPLES = Path(__file__).parents[1] / "data" / "samples" / "events.jsonl"
NOTIFYING = {
    *("post.created", "post.matched", "post.claimed", "post.resolved", "match.expired", "user.registered"),
    *("organization.staff_added", "contact.exchange.requested", "contact.exchange.approved"),
    *("contact.exchange.denied", "contact.exchange.expired"),
}


def zones(name):
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


CATALOGUE = load(tomllib.loads((FOLDER / "findly.toml").read_text()), JmesPaths(), CanonicalAddresses(), zones)
RENDERER = JinjaRenderer(CATALOGUE, [FOLDER / "templates"], zones)
TYPES = sorted(CATALOGUE.types)
CHANNELS = (EMAIL, SMS, WHATSAPP)

TYPICAL = {
    "name": "Ana María",
    "item": "Blue umbrella with a wooden handle",
    "kind": "lost",
    "place": "Parque 93, Bogotá",
    "photos": "2",
    "confidence": 87,
    "reason": "no_answer_in_48_hours",
    "claimer": "Dev P.",
    "message": "It has a cracked corner.\nAnd a sticker of a whale.",
    "resolution": "reunited",
    "organization": "City Library",
    "role": "lost_property_clerk",
    "requester": "Gus R.",
    "owner": "Hana T.",
    "shared_email": "hana@example.com",
    "shared_phone": "+14155550117",
    "expires_at": "2036-01-01T00:00:00Z",
    "title": "Your post expires tomorrow",
    "body": "Renew it in the app if you are still looking.",
}


RENDERING = """
import json, sys, tomllib
from importlib import resources
from pathlib import Path
from fn_notifications.adapters.jmespath.paths import JmesPaths
from fn_notifications.adapters.memory.addresses import StrictAddresses
from fn_notifications.adapters.templates.jinja import JinjaRenderer
from fn_notifications.application.loading import load

folder = Path(str(resources.files("fn_notifications"))) / "catalogue"
catalogue = load(tomllib.loads((folder / "findly.toml").read_text()), JmesPaths(), StrictAddresses(), lambda _: None)
renderer = JinjaRenderer(catalogue, [folder / "templates"], lambda _: None)
for type_, variables in json.load(sys.stdin).items():
    for channel in ("email", "sms", "whatsapp"):
        content = renderer.render(type_, channel, variables, language="en", timezone=None, version="1")
        parts = [content.subject, content.text, content.html, content.template_id, dict(content.template_variables)]
        sys.stdout.write(json.dumps(parts))
"""


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def envelope(event):
    return event.get("event_type") or event["type"], event.get("data") or event.get("payload") or event


def told(type_, body):
    rule = CATALOGUE.events.get(type_)
    return [[user, party.type] for party in rule.parties if (user := party.user_of(body))] if rule else []


def variables(type_, **chosen):
    """Typical ones of a type; the words a caller may give belong to `reminder` alone."""
    given = chosen or TYPICAL
    own = CATALOGUE.variables[type_].keys() - (set() if type_ == "reminder" else {"title", "body"})
    return {name: value for name, value in given.items() if name in own}


def render(type_, channel, values, language="en", timezone="America/Bogota"):
    return RENDERER.render(type_, channel, values, language=language, timezone=timezone, version=CATALOGUE.version)


class TestSamples:
    @pytest.mark.parametrize("sample", lines_of(SAMPLES), ids=lambda sample: sample["event"].get("event_id", "thin"))
    def test_each_is_told_to_exactly_those(self, sample):
        type_, body = envelope(sample["event"])
        assert told(type_, body) == sample["expect"]
        assert (type_ not in CATALOGUE.events) == (sample.get("outcome") == "ignored")

    @pytest.mark.parametrize("sample", lines_of(SAMPLES), ids=lambda sample: sample["event"].get("event_id", "thin"))
    def test_each_has_a_key_its_variables_and_a_message_on_every_channel(self, sample):
        type_, body = envelope(sample["event"])
        for party in CATALOGUE.events[type_].parties if sample["expect"] else ():
            if party.user_of(body) is None:
                continue
            values, missing = party.variables_of(body)
            assert missing == []
            assert party.key_of(body)
            for channel in CHANNELS:
                assert render(party.type, channel, values) == render(party.type, channel, values)

    @pytest.mark.parametrize("sample", [one for one in lines_of(SAMPLES) if "creates_preferences" in one])
    def test_people_are_learnt_from_the_users_service(self, sample):
        type_, body = envelope(sample["event"])
        expected = dict(sample["creates_preferences"])
        ((source, (user_id, fields)),) = [
            (learning.source, fact) for learning in CATALOGUE.events[type_].learns for fact in learning.facts(body)
        ]
        assert (source, user_id) == (Source.EVENT, expected.pop("user_id"))
        assert expected.items() <= fields.items()

    def test_other_people_s_events_bring_neither_addresses_nor_opt_ins(self):
        for sample in lines_of(SAMPLES):
            type_, body = envelope(sample["event"])
            for learning in CATALOGUE.events[type_].learns if type_ in CATALOGUE.events else ():
                if learning.source is Source.PROVISIONAL:
                    for _, fields in learning.facts(body):
                        assert not {"email", "phone", "opt_in.whatsapp", "opt_in.sms"} & fields.keys()

    def test_fat_events_bring_provisional_preferences(self):
        (sample,) = [one for one in lines_of(SAMPLES) if one["about"] == "fat: involved_users"]
        type_, body = envelope(sample["event"])
        facts = dict(fact for learning in CATALOGUE.events[type_].learns for fact in learning.facts(body))
        assert facts["u-cy"] == {
            "timezone": "America/Bogota",
            "language": "es",
            "enabled.email": True,
            "enabled.sms": True,
        }
        assert facts["u-fe"]["enabled.sms"] is False


class TestDialects:
    """What the samples leave out of the table of places."""

    @pytest.mark.parametrize(
        ("location", "place"),
        [
            ({"address": "Gate 4", "lat": 1, "lng": 2}, "Gate 4"),
            ({"lat": 4.65, "lng": -74.05}, "4.65, -74.05"),
            ({"latitude": 0, "longitude": 13.4}, "0, 13.4"),
            ({"type": "Point", "coordinates": [-74.05, 4.65]}, "4.65, -74.05"),
            ("Central station", "Central station"),
            ({"lat": 4.65}, None),
            ({"coordinates": [1]}, None),
            ({"coordinates": "here"}, None),
            ([], None),
            (None, None),
        ],
    )
    @pytest.mark.parametrize("where", [lambda at: {"location": at}, lambda at: {"post": {"location": at}}])
    def test_places(self, location, place, where):
        (party,) = CATALOGUE.events["post.created"].parties
        values, _ = party.variables_of(where(location))
        assert values.get("place") == place

    @pytest.mark.parametrize(
        ("body", "photos"),
        [
            ({"photo_count": 3}, "3"),
            ({"photo_urls": ["a", "b"]}, "2"),
            ({"photos": [{}]}, "1"),
            ({"post": {"photos": []}}, None),
            ({}, None),
        ],
    )
    def test_photos(self, body, photos):
        (party,) = CATALOGUE.events["post.created"].parties
        assert party.variables_of(body)[0].get("photos") == photos

    def test_who_claims_without_a_claim_id_is_told_from_another(self):
        owner, _ = CATALOGUE.events["post.claimed"].parties
        keys = {owner.key_of({"post_id": "p", "claimer_id": claimer}) for claimer in ("a", "b")}
        assert len(keys) == 2
        assert owner.key_of({"post_id": "p"}) is None

    def test_the_same_match_is_the_same_key_for_both(self):
        forth = {"post_id": "a", "matched_post_id": "b"}
        back = {"post_id": "b", "matched_post_id": "a"}
        keys = {party.key_of(body) for party in CATALOGUE.events["post.matched"].parties for body in (forth, back)}
        assert keys == {"a&b"}


class TestTypes:
    TABLE = """
        post_confirmation | normal | email              | 1  | 24 | hold
        match_detected    | normal | email sms          | 1  | 48 | resend
        urgent_claim      | urgent | sms email whatsapp | 1  | 6  | resend
        claim_submitted   | normal | email              | 1  | 24 | hold
        post_resolved     | normal | email              | 1  | 48 | hold
        match_expired     | normal | email              | 1  | 48 | hold
        welcome           | normal | email              | 24 | 72 | hold
        staff_added       | normal | email              | 1  | 72 | hold
        contact_request   | high   | email sms          | 1  | 24 | resend
        contact_approved  | high   | email sms          | 1  | 24 | resend
        contact_denied    | normal | email              | 1  | 48 | hold
        contact_expired   | normal | email              | 1  | 48 | hold
        reminder          | low    | email              | 1  | 24 | hold
    """

    def test_they_are_those_of_the_specification(self):
        rows = [[cell.strip() for cell in row.split("|")] for row in self.TABLE.strip().splitlines()]
        assert sorted(row[0] for row in rows) == TYPES
        for name, priority, channels, window, ttl, in_doubt in rows:
            type_ = CATALOGUE.types[name]
            assert type_.priority is Priority(priority)
            assert type_.channels == tuple(channels.split())
            assert (type_.window, type_.ttl) == (timedelta(hours=int(window)), timedelta(hours=int(ttl)))
            assert type_.in_doubt is InDoubt(in_doubt)
            assert type_.unsubscribable == (name == "reminder")

    def test_every_type_but_the_reminder_follows_from_an_event(self):
        told_by_events = {party.type for rule in CATALOGUE.events.values() for party in rule.parties}
        assert told_by_events == set(TYPES) - {"reminder"}
        assert {name for name, rule in CATALOGUE.events.items() if rule.parties} == NOTIFYING


class TestDemo:
    def test_every_event_comes_to_what_it_says(self):
        text = (FOLDER / "demo" / "events.jsonl").read_text()
        for placeholder, value in (("now", "2026-06-01T10:00:00Z"), ("later", "2026-06-02T10:00:00Z"), ("run", "r-1")):
            text = text.replace(f"{{{placeholder}}}", value)
        assert "{now" not in text
        seen = []
        for line in text.splitlines():
            demo = json.loads(line)
            type_, body = envelope(demo["event"])
            assert told(type_, body) == demo["expect"]
            assert {user for user, _ in demo["expect"]} <= self.people() | {"demo-lia"}
            seen.append(type_)
        assert sorted(seen) == sorted(NOTIFYING | {"user.updated"})

    def test_every_event_of_a_run_is_its_own(self):
        events = [one["event"] for one in lines_of(FOLDER / "demo" / "events.jsonl")]
        assert all("{run}" in event.get("event_id", event.get("id")) for event in events)
        assert all(
            "{now}" in (event.get("timestamp") or event.get("time") or event.get("occurred_at")) for event in events
        )

    def test_addresses_reach_nobody(self):
        for file in ("events.jsonl", "preferences.jsonl"):
            text = (FOLDER / "demo" / file).read_text()
            assert set(re.findall(r"@([\w.-]+)", text)) == {"example.com"}
            assert all(re.fullmatch(r"\+15005550006|\+141555501[01]\d", phone) for phone in re.findall(r"\+\d+", text))

    def people(self):
        return {one["user_id"] for one in lines_of(FOLDER / "demo" / "preferences.jsonl")}


class Reader(HTMLParser):
    """What a mail reader would find in a message."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.text, self.loads = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.loads += [value for name, value in attrs if name in ("src", "href", "background", "action")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


class TestMessages:
    def test_every_file_is_there_and_needs_only_what_is_declared(self):
        assert RENDERER.problems() == []

    @pytest.mark.parametrize("type_", TYPES)
    def test_with_everything_and_with_the_least(self, type_):
        least = variables(type_, **{name: TYPICAL[name] for name in CATALOGUE.types[type_].required} or {"-": 0})
        for values in (variables(type_), least):
            for channel in CHANNELS:
                content = render(type_, channel, values)
                shown = f"{content.subject or ''} {content.text}"
                assert not re.search(r"None|null|\{\{|\}\}|  [a-z]|\"\"| [.,:]|\(\)", shown), shown
                assert "\n\n\n\n" not in content.text

    @pytest.mark.parametrize("type_", TYPES)
    def test_html_is_whole_and_loads_nothing(self, type_):
        content = render(type_, EMAIL, variables(type_))
        reader = Reader(content.html)
        assert reader.open == []
        assert reader.loads == []
        assert not re.search(r"url\(|@import|<script|https?:", content.html)
        assert ("html", {"lang": "en", "dir": "ltr"}) in reader.tags
        assert [tag for tag, _ in reader.tags].count("h1") == 1
        assert all(attrs.get("role") == "presentation" for tag, attrs in reader.tags if tag == "table")
        assert len(content.html.encode()) < 20_000

    @pytest.mark.parametrize("type_", TYPES)
    def test_text_and_html_say_the_same(self, type_):
        """Every value that one shows, the other shows too."""
        content = render(type_, EMAIL, variables(type_))
        html = " ".join("".join(Reader(content.html).text).split())
        text = " ".join(content.text.replace("> ", "").split())
        for name, value in variables(type_).items():
            for part in str(value).replace("_", " ").splitlines():
                if name not in ("kind", "expires_at", "resolution", "title"):
                    assert (part in html) == (part in text), name

    @pytest.mark.parametrize("type_", TYPES)
    def test_a_text_message_costs_two_segments_at_most(self, type_):
        content = render(type_, SMS, variables(type_))
        assert cost(content.text).encoding is Encoding.GSM7
        assert cost(content.text).segments <= 2
        assert content.text.isascii()

    @pytest.mark.parametrize("type_", TYPES)
    def test_whatsapp_says_in_its_text_what_its_slots_hold(self, type_):
        content = render(type_, WHATSAPP, variables(type_))
        assert content.template_id == CATALOGUE.content_sids["en"][type_]
        assert re.fullmatch(r"HX0{28,}\d+", content.template_id)
        assert list(content.template_variables) == [
            str(number) for number in range(1, len(content.template_variables) + 1)
        ]
        assert all(value in content.text for value in content.template_variables.values())

    def test_another_process_renders_the_same_bytes(self):
        """Python orders sets differently in every process; what was sent must be shown the same for ever."""
        outputs = {
            subprocess.run(
                [sys.executable, "-c", RENDERING],
                env={**os.environ, "PYTHONHASHSEED": seed},
                input=json.dumps({type_: variables(type_) for type_ in TYPES}),
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("1", "2", "3")
        }
        assert len(outputs) == 1
        assert outputs.pop()

    def test_shared_details_are_in_the_message_and_not_in_the_subject(self):
        content = render("contact_approved", EMAIL, variables("contact_approved"))
        for detail in ("hana@example.com", "+14155550117"):
            assert detail in content.text
            assert detail in content.html
            assert detail not in content.subject
            assert detail in render("contact_approved", SMS, variables("contact_approved")).text

    def test_times_are_the_reader_s(self):
        for zone, written in (("America/Bogota", "31 December 2035, 19:00 UTC-5"), (None, "1 January 2036, 00:00 UTC")):
            assert written in render("contact_request", EMAIL, variables("contact_request"), timezone=zone).text

    def test_another_language_gets_english(self):
        values = variables("welcome")
        assert render("welcome", EMAIL, values, language="es-CO") == render("welcome", EMAIL, values)

    def test_words_a_caller_gives_replace_those_of_any_type(self):
        values = {**variables("match_detected"), "title": "Come to the desk", "body": "We have it.\nUntil six."}
        content = render("match_detected", EMAIL, values)
        assert content.subject == "Come to the desk"
        assert "We have it.\nUntil six." in content.text
        assert "match" not in content.text

    @pytest.mark.parametrize("type_", TYPES)
    @settings(deadline=None, max_examples=40)
    @given(data=st.data())
    def test_any_text_can_be_sent_and_none_of_it_is_markup(self, type_, data):
        """Every variable at once, as long as it may be and as odd as it comes, on every channel."""
        odd = st.text(max_size=300) | st.text("<>&\"'{}%\r\n\0\u2028\ud800\u202e x", max_size=2500)
        raw = {name: data.draw(st.none() | odd, label=name) for name in CATALOGUE.variables[type_]}
        values, missing = CATALOGUE.accept(type_, raw)
        values |= dict.fromkeys(missing, "x")
        for channel in CHANNELS:
            content = render(type_, channel, values)
            assert f"{content.subject}{content.text}{content.html}".encode()
            assert content == render(type_, channel, values)
        bare = Reader(render(type_, EMAIL, variables(type_)).html)
        assert {tag for tag, _ in Reader(render(type_, EMAIL, values).html).tags} <= {
            *(tag for tag, _ in bare.tags),
            *("br", "strong", "table", "tr", "td"),
        }

    @pytest.mark.parametrize("type_", TYPES)
    @pytest.mark.parametrize("char", ["\u2026", "\u6f22", "\U0001f600", '"', "x", "\n\n."])
    def test_the_longest_values_stay_within_every_limit(self, type_, char):
        values, _ = CATALOGUE.accept(type_, dict.fromkeys(CATALOGUE.variables[type_], char * 3000))
        del values["body" if type_ != "reminder" else "name"]
        for channel in CHANNELS:
            render(type_, channel, values)

    @pytest.mark.parametrize("type_", TYPES)
    def test_markup_in_a_value_is_shown_not_obeyed(self, type_):
        attack = "<img src=x onerror=alert(1)><script>x</script></style>\"' {{ 7*7 }}"
        values, _ = CATALOGUE.accept(type_, dict.fromkeys(CATALOGUE.variables[type_], attack))
        html = render(type_, EMAIL, values).html
        assert not re.search(r"<img|<script|</style>[^<]*\"'|49", html)
        assert "&lt;img src=x onerror=alert(1)&gt;" in html
