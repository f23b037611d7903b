"""The made-up world: cities, teams, and names for any number of players.

Teams and people are invented, and any likeness is chance. The coordinates are plausible, so
that journeys have plausible lengths.
"""

from __future__ import annotations

import polars as pl

__all__ = ["FIRST_NAMES", "LAST_NAMES", "TEAMS", "lookup_expr", "name_expr"]

_E, _C, _M, _P = "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"

TEAMS: tuple[tuple[str, str, str, float, float, str], ...] = (
    ("HCH", "Harbor City", "Herons", 42.3601, -70.9120, _E),
    ("RWP", "Redwood Point", "Pilots", 40.7712, -124.1090, _P),
    ("ASF", "Ashford", "Foxes", 39.9744, -75.3010, _E),
    ("CPL", "Copper Lake", "Lynx", 33.4810, -111.9210, "America/Phoenix"),
    ("GRV", "Grandvale", "Voyagers", 41.8120, -87.5010, _C),
    ("SBL", "Silver Bluff", "Larks", 47.5210, -122.4010, _P),
    ("NWM", "New Wexham", "Monarchs", 40.6110, -73.8820, _E),
    ("DRC", "Dry Creek", "Coyotes", 31.8730, -102.3400, _C),
    ("PTB", "Port Bellamy", "Barons", 25.9020, -80.2310, _E),
    ("MSR", "Mesa Roja", "Rattlers", 35.1320, -106.5810, _M),
    ("LKE", "Lakemont", "Elks", 43.0910, -88.0210, _C),
    ("VLD", "Valdera", "Dolphins", 32.8110, -117.0930, _P),
    ("TRN", "Tarrington", "Navigators", 38.8620, -77.1120, _E),
    ("PLF", "Plainfield", "Falcons", 41.2310, -96.0210, _C),
    ("ORC", "Orchard Heights", "Cardinals", 35.2010, -80.9430, _E),
    ("CRG", "Craigmoor", "Goats", 39.6820, -105.0320, _M),
    ("STB", "Stonebridge", "Badgers", 41.4410, -81.7210, _E),
    ("SLT", "Salt Flats", "Terns", 40.8110, -111.8210, _M),
    ("MPH", "Maple Hollow", "Huskies", 43.7010, -79.5010, "America/Toronto"),
    ("BYW", "Bayou Walk", "Egrets", 30.0110, -90.1910, _C),
    ("IRN", "Ironton", "Smiths", 42.2910, -83.1610, _E),
    ("GDN", "Gardena Sands", "Surfers", 33.9010, -118.2010, _P),
    ("WLB", "Willowbrook", "Bears", 39.8110, -86.2310, "America/Indiana/Indianapolis"),
    ("EVR", "Evermark", "Rams", 45.5710, -122.5710, _P),
    ("CLD", "Calder", "Drovers", 29.8110, -95.4610, _C),
    ("KSL", "Kessel", "Lancers", 38.6310, -121.4010, _P),
    ("PNH", "Pinehurst Falls", "Hares", 33.7010, -84.4910, _E),
    ("NRT", "Northgate", "Tamaracks", 44.9110, -93.1710, _C),
    ("SVA", "Savanna Key", "Anglers", 28.4810, -81.4710, _E),
    ("OKR", "Oak Ridge Plains", "Riders", 35.5210, -97.6110, _C),
)
"""Abbreviation, city, nickname, latitude, longitude, time zone."""

FIRST_NAMES = (
    *("Aldren", "Bricen", "Caswell", "Dorrian", "Ellard", "Farrow", "Garrik", "Hollis"),
    *("Ivarr", "Jorund", "Kestrel", "Lorcan", "Merrick", "Nolwen", "Osric", "Perrin"),
    *("Quillon", "Roderic", "Sorley", "Tavish", "Ulric", "Varian", "Wendell", "Xanth"),
    *("Yorrick", "Zephyr", "Anselm", "Barnaby", "Corwin", "Dashel", "Emeric", "Fenwick"),
    *("Gideon", "Hadley", "Ignace", "Jocelin", "Kieron", "Leofric", "Mungo", "Niall"),
    *("Orlan", "Phineas", "Rafferty", "Søren", "Matéo", "Thaddeus", "Zoltán", "Wystan"),
)
_STEMS = (
    *("Alder", "Birch", "Cinder", "Dunn", "Ember", "Flint", "Gorse", "Hazel", "Iver", "Juniper"),
    *("Kettle", "Larch", "Marl", "Nettle", "Otter", "Pebble", "Quarry", "Rowan", "Slate"),
    *("Thistle", "Umber", "Vetch", "Whin", "Yarrow"),
)
_ENDS = (
    *("beck", "combe", "dale", "garth", "holt", "ley", "mere", "ness", "rigg", "shaw"),
    *("stead", "thwaite", "wick", "worth", "yard", "firth"),
)
LAST_NAMES = tuple(stem + end for end in _ENDS for stem in _STEMS)
_PLAIN = str.maketrans("øéá", "oea")


def _parts(person: str) -> tuple[pl.Expr, pl.Expr, pl.Expr, pl.Expr]:
    """First name, surname, second surname and numeral of the person with a given number.

    Neighbours get unlike names; after every pair of names a second surname sets in, and after
    every pair of those a numeral.
    """
    pairs = len(FIRST_NAMES) * len(LAST_NAMES)
    block = pl.col(person) // pairs
    within = (pl.col(person) % pairs) * 7919 % pairs
    first = within % len(FIRST_NAMES)
    last = within // len(FIRST_NAMES)
    second = block % (len(LAST_NAMES) + 1)
    return first, last, second, block // (len(LAST_NAMES) + 1)


def _pick(values: tuple[str, ...], index: pl.Expr) -> pl.Expr:
    return pl.lit(pl.Series(values)).gather(index)


def _seconds(mark: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return ("", *(mark + name for name in names))


def name_expr(person: str = "person") -> pl.Expr:
    """The name of the person whose number is in column `person`."""
    first, last, second, numeral = _parts(person)
    suffix = pl.when(numeral > 0).then(pl.format(" the {}th", numeral + 1)).otherwise(pl.lit(""))
    return pl.concat_str(
        _pick(FIRST_NAMES, first),
        pl.lit(" "),
        _pick(LAST_NAMES, last),
        _pick(_seconds("-", LAST_NAMES), second),
        suffix,
    )


def lookup_expr(person: str = "person") -> pl.Expr:
    """The same name as a lookup: lower-case letters and digits, unlike for unlike people.

    No first name begins another and no surname begins another, so joining them loses nothing.
    """
    first, last, second, numeral = _parts(person)
    plain = tuple(name.lower().translate(_PLAIN) for name in FIRST_NAMES)
    lower = tuple(name.lower() for name in LAST_NAMES)
    suffix = pl.when(numeral > 0).then((numeral + 1).cast(pl.String)).otherwise(pl.lit(""))
    return pl.concat_str(
        _pick(plain, first), _pick(lower, last), _pick(_seconds("", lower), second), suffix
    )
