"""Whatever is wrong, no credential comes to light: not in the error, not in the settings, not in a warning."""

import traceback
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fn_notifications.entrypoints.settings import Embed, SettingsError, describe, load_settings

NOWHERE = Path("/nonexistent")
CANARY = "cAnArY"
SECRET = [name for row in describe() if row.secret for name in (row.name, *row.aliases)]
OPEN = [name for row in describe() if not row.secret for name in (row.name, *row.aliases) if name != "CONFIG_FILE"]
MISTAKES = [
    "",
    "x",
    "-1",
    "nonsense",
    "your-x",
    "prod",
    "dev",
    "true",
    "sendgrid",
    "twilio,local",
    "mailgun",
    "sendgird",
    "redis",
    "RS256",
]

canaries = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])).map(lambda text: f"{CANARY}{text}")
keys = st.binary(min_size=26, max_size=26).map(lambda tail: b64encode(CANARY.encode() + tail).decode())
secrets = st.one_of(
    canaries,
    canaries.map("postgresql://user:{}@db.example.com/d".format),
    canaries.map("redis://user:{}@cache.example.com".format),
    keys,
    keys.map("{0}:{0}".format),
    keys.map("first:{}".format),
)
mistakes = st.dictionaries(st.sampled_from(OPEN), st.sampled_from(MISTAKES), max_size=6)
KEY = b64encode(CANARY.encode() + bytes(26)).decode()
READABLE = dict.fromkeys(SECRET, CANARY) | {
    "DATABASE_URL": f"postgresql://user:{CANARY}@db.example.com/d",
    "REDIS_URL": f"redis://user:{CANARY}@cache.example.com",
    "KAFKA_PROPERTIES": f"ssl.key.password={CANARY}",
    "CONTACT_KEYS": f"first:{KEY}",
    "LOOKUP_KEY": KEY,
}


def shown(environ: dict[str, str], embed: Embed = Embed.WHEN_EMPTY) -> str:
    """All that a start with this environment could print."""
    try:
        return repr(load_settings(environ, cwd=NOWHERE, embed=embed))
    except SettingsError as error:
        return "".join([*traceback.format_exception(error), repr(error), repr(error.problems)])


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize("secret", [READABLE, dict.fromkeys(SECRET, CANARY)], ids=["readable", "unreadable"])
def test_no_secret_is_shown_beside_any_mistake(name, secret):
    for mistake in MISTAKES:
        for environment in ("dev", "prod"):
            text = shown({"ENVIRONMENT": environment} | secret | {name: mistake})
            assert CANARY not in text
            assert KEY not in text


@settings(max_examples=400, deadline=None)
@given(
    environ=st.fixed_dictionaries({}, optional=dict.fromkeys(SECRET, secrets)),
    wrong=mistakes,
    embed=st.sampled_from(Embed),
)
def test_no_secret_is_ever_shown(environ, wrong, embed):
    text = shown(environ | wrong, embed)

    assert CANARY not in text
    assert b64encode(CANARY.encode()).decode() not in text


@settings(deadline=None)
@given(st.sampled_from(sorted({*SECRET, *OPEN})), st.sampled_from(["environment", "file", "dotenv"]))
def test_not_even_a_secret_in_the_wrong_place_is_repeated_by_an_error(tmp_path_factory, name, place):
    folder = tmp_path_factory.mktemp("place")
    spoilt = {name: f"{CANARY} \x07 {CANARY}@", "ENVIRONMENT": "prod"}
    (folder / ".env").write_text(f"{name}='{CANARY}\n{CANARY}\n" if place == "dotenv" else "")
    (folder / "fn-notifications.toml").write_text(f"{name} = {CANARY}" if place == "file" else "")

    with pytest.raises(SettingsError) as caught:
        load_settings(spoilt if place == "environment" else {"ENVIRONMENT": "prod"}, cwd=folder)

    assert CANARY not in "".join(traceback.format_exception(caught.value))
