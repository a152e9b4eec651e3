"""What property tests draw: sets of options that are valid together on a volume of some shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from reconciler.catalogue.known import known_options
from reconciler.catalogue.option import OptionType
from reconciler.diagnostics import Severity
from reconciler.model.volume import Shape
from reconciler.volgen.option_facts import OptionFacts, listed
from reconciler.volgen.options import check_options
from reconciler.volgen.switches import SWITCHES

_GIB = 1 << 30  #: sizes stay below: caches may not be larger than the memory of the machine
_MOST = 1000  #: of integers and times without an upper bound

#: values of options that mean more than their type says, with the reason
_OWN: Mapping[str, Sequence[str]] = {
    "cluster.read-subvolume": ("home-client-0",),  # an xlator of the graph
    "cluster.quorum-count": ("1", "3"),  # of three bricks
    "debug.trace": ("off", "client", "posix"),  # a place in a graph
    "debug.error-gen": ("off", "client", "locks"),
    "debug.delay-gen": ("off", "client", "io-threads"),
    "cluster.rsync-hash-regex": (r"^\.(.+)\.[^.]+$", "none"),
    "cluster.extra-hash-regex": (r"(.*)\.tmp$", "none"),
}
#: options that need something of a volume or a machine that is not there
_LEFT_OUT = (
    "client.ssl", "server.ssl",  # certificates
    "cluster.brick-multiplex", "config.transport",
    "diagnostics.",  # where and how much is logged: the log is what tells that a graph is up
    "io-stats.brick-log", "io-stats.client-log",
    "replicate.thin-arbiter",  # a third party
    "user.",
)  # fmt: skip
#: values that are right for some options and wrong for others
_WILD = (
    "-1", "0", "1", "2", "010", "0x10", "+5", "1.5", ".5", "1e3", "1.5MB", "64kb", "1 MB", "1K", "100%",
    "101%", "33.3%", "10s", "2min", "2 min", "1hr", "1hour", "1d", "1day", "3days", "1w", "maybe", "x",
    "99999999999999999999", "on", "a b", "/x", "/a/../b", "*", "10.0.0.1,a.b", "!10.0.0.1", "*.jpg:1",
    "inet", "home-client-1",
)  # fmt: skip
_ADDRESSES = ("*", "127.0.0.1", "10.*", "10.0.0.1,host.example.org", "10.0.0.0/8")
_TYPICAL: Mapping[OptionType, Sequence[str]] = {
    OptionType.BOOL: ("on", "off", "yes", "No", "TRUE", "false", "1", "0", "enable", "Disable"),
    OptionType.PERCENT: ("0", "1", "50%", "33.3%", "100", "100%"),
    OptionType.PERCENT_OR_SIZE: ("0", "5", "10%", "33.3%", "100%", "10MB", "1GB"),
    OptionType.PATH: ("/tmp", "/tmp/a b"),
    OptionType.ADDRESS: _ADDRESSES,
    OptionType.ADDRESS_LIST: _ADDRESSES,
    OptionType.CLIENT_ADDRESS: _ADDRESSES,
    OptionType.PRIORITY_LIST: ("*.jpg:1", "*.tmp:0,abc*:3"),
}


def value_of(facts: OptionFacts) -> st.SearchStrategy[str]:
    """Draw values of an option: of its type, from its choices, at and between the ends of its range."""
    if own := _OWN.get(facts.name):
        return st.sampled_from(own)
    if facts.values:
        return st.sampled_from([value for value in facts.values if "*" not in value] or ["x"])
    low = int(facts.low or 0)
    high = int(facts.high) if facts.high is not None else max(low, 1) * _MOST
    if facts.type in (OptionType.INT, OptionType.TIME, OptionType.NUMBER):
        return (st.sampled_from([low, high]) | st.integers(low, high)).map(str)
    if facts.type is OptionType.SIZE:
        return _size(low, min(high, _GIB) if facts.high is not None else _GIB)
    return st.sampled_from(_TYPICAL.get(facts.type) or [facts.default or "x"])


def _size(low: int, high: int) -> st.SearchStrategy[str]:
    plain = st.sampled_from([low, high]) | st.integers(low, high)
    units = [(word, unit) for word, unit in (("KB", 1 << 10), ("MB", 1 << 20)) if high // unit > low // unit]
    with_unit = [
        st.integers(-(-low // unit), high // unit).map(lambda n, word=word: f"{n}{word}")
        for word, unit in units
    ]
    return st.one_of(plain.map(str), *with_unit)


OPTIONS = tuple(
    facts for facts in listed(known_options()) if facts.settable and not facts.name.startswith(_LEFT_OUT)
)  #: what is drawn from

_wild = st.sampled_from(_WILD)
_SWITCHES = sorted({name for names in SWITCHES.values() for name in names})


def mistakes(options: Mapping[str, str], shape: Shape) -> dict[str, str]:
    """Return what is wrong with a set of options, by name: errors, and what a plan refuses for its code."""
    found = check_options(options, shape)
    return {one.path: one.summary for one in found if one.severity is Severity.ERROR or one.code}


@st.composite
def valid_options(draw: st.DrawFn, shape: Shape, *, most: int = 12) -> dict[str, str]:
    """Draw options that are valid together on a volume of this shape.

    Some values fit the option's type and range; others come from a list that knows no option, and stay if
    our own checks let them.
    """
    drawn = draw(st.lists(st.sampled_from(OPTIONS), min_size=1, max_size=most, unique_by=lambda f: f.name))
    switches = draw(st.lists(st.sampled_from(_SWITCHES), unique=True))
    options = dict.fromkeys(switches, "on")
    for facts in drawn:
        fitting = value_of(facts)
        options[facts.name] = draw(fitting if facts.name in _OWN else fitting | _wild)
    while found := mistakes(options, shape):
        options = {name: value for name, value in options.items() if name not in found}
    return options
