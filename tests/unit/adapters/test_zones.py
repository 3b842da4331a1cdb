"""Zones come from one place, by exact names."""

import zoneinfo
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from fn_notifications.adapters.zones.numbers import zones_of
from fn_notifications.adapters.zones.tz import _names, _read, zone
from fn_notifications.domain.address import PhoneNumber


def offset(name, *local, fold=0):
    return datetime(*local, fold=fold, tzinfo=zone(name)).utcoffset()


@pytest.fixture
def misleading_host(tmp_path):
    """A host that takes Tokyo for Berlin, and a process that already believed it."""
    fake = tmp_path / "Europe" / "Berlin"
    fake.parent.mkdir()
    fake.write_bytes(files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").read_bytes())
    (tmp_path / "Nowhere").write_bytes(fake.read_bytes())
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[str(tmp_path)])
    zoneinfo.ZoneInfo.clear_cache()
    _read.cache_clear()
    yield
    zoneinfo.reset_tzpath(to=before)
    zoneinfo.ZoneInfo.clear_cache()
    _read.cache_clear()


def test_the_hosts_files_have_no_say(misleading_host):
    nine_hours = timedelta(hours=9)
    assert datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")).utcoffset() == nine_hours
    assert zoneinfo.ZoneInfo("Nowhere")

    assert offset("Europe/Berlin", 2026, 1, 1) == timedelta(hours=1)
    assert zone("Nowhere") is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Europe",
        "Europe/",
        "Europe/Atlantis",
        "europe/berlin",
        "EUROPE/BERLIN",
        " Europe/Berlin",
        "Europe/Berlin\n",
        "Europe/Berlin\0",
        "/usr/share/zoneinfo/Europe/Berlin",
        "../zoneinfo/Europe/Berlin",
        "Europe/../Europe/Berlin",
        "Europe//Berlin",
        "zone.tab",
        "tzdata.zi",
        "__init__.py",
        "Europe/__init__.py",
        "\ud800",
        "x" * 100_000,
    ],
)
def test_a_name_that_is_not_listed_is_nothing(name):
    assert zone(name) is None


def test_every_listed_name_is_a_zone():
    instant = datetime(2026, 6, 1, tzinfo=UTC)

    assert len(_names()) > 500
    for name in _names():
        found = zone(name)
        assert str(found) == name
        assert abs(instant.astimezone(found).utcoffset()) <= timedelta(hours=14)


def test_berlin_has_no_half_past_two_on_the_last_sunday_of_march():
    """EU: 02:00 becomes 03:00 on 29 March 2026 at 01:00 UTC."""
    berlin = zone("Europe/Berlin")

    assert datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC).astimezone(berlin).hour == 1
    assert datetime(2026, 3, 29, 1, tzinfo=UTC).astimezone(berlin).hour == 3


def test_new_york_has_half_past_one_twice_on_the_first_sunday_of_november():
    """US: 02:00 becomes 01:00 on 1 November 2026."""
    assert offset("America/New_York", 2026, 11, 1, 1, 30) == timedelta(hours=-4)
    assert offset("America/New_York", 2026, 11, 1, 1, 30, fold=1) == timedelta(hours=-5)


def test_bogota_keeps_its_clocks():
    assert {offset("America/Bogota", 2026, month, 1) for month in range(1, 13)} == {timedelta(hours=-5)}


def test_lord_howe_moves_by_half_an_hour():
    assert offset("Australia/Lord_Howe", 2026, 1, 1) - offset("Australia/Lord_Howe", 2026, 7, 1) == timedelta(
        minutes=30
    )


def test_a_zone_is_read_once():
    assert zone("Europe/Berlin") is zone("Europe/Berlin")


def test_the_files_are_the_packages_own():
    import tzdata

    packaged = Path(tzdata.__file__).parent / "zoneinfo" / "Europe" / "Berlin"
    with packaged.open("rb") as file:
        theirs = zoneinfo.ZoneInfo.from_file(file)
    moments = [datetime(year, month, 1, tzinfo=UTC) for year in range(1970, 2040) for month in (1, 7)]

    ours = zone("Europe/Berlin")
    assert [at.astimezone(ours).utcoffset() for at in moments] == [at.astimezone(theirs).utcoffset() for at in moments]


class TestCountries:
    @pytest.mark.parametrize(
        ("number", "some", "none"),
        [
            ("+4915112345678", {"Europe/Berlin"}, {"Europe/Paris"}),
            ("+12125550123", {"America/New_York", "Pacific/Honolulu"}, {"America/Toronto"}),
            ("+14165550123", {"America/Toronto", "America/Vancouver"}, {"America/New_York"}),
            ("+5511987654321", {"America/Sao_Paulo", "America/Noronha"}, {"America/Bogota"}),
        ],
    )
    def test_a_number_has_the_zones_of_its_country_whatever_its_area(self, number, some, none):
        names = {zone.key for zone in zones_of(PhoneNumber(number))}
        assert some <= names
        assert not none & names

    def test_a_code_that_countries_share_has_the_zones_of_all(self):
        """A number of none of them in particular."""
        names = {zone.key for zone in zones_of(PhoneNumber("+11234567890"))}
        assert {"America/New_York", "America/Toronto", "America/Jamaica"} <= names

    @pytest.mark.parametrize("number", ["+870773111632", "+99912345678"])
    def test_a_number_of_no_country_has_none(self, number):
        assert zones_of(PhoneNumber(number)) == ()

    def test_the_most_populous_comes_first(self):
        assert zones_of(PhoneNumber("+12125550123"))[0].key == "America/New_York"
