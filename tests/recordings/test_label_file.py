"""Labels that somebody brings along: read in either form, and every mistake told with its line."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.base.clock import iso
from tasks.base.errors import DocumentError
from tasks.base.intervals import Interval
from tasks.base.trials import Outcome, Trial, Windows
from tasks.recordings.label_file import ASSUMED, LIMIT_BYTES, read_labels
from tasks.recordings.labels import labels_csv

T0 = 1_790_000_000.0
SPAN = Interval(T0, T0 + 3600)
AT = "2026-09-21T14:13:20Z"
"""T0 in words."""


def read(tmp_path, text, span=SPAN, shift_s=0.0):
    """The trials in a file with *text*."""
    path = tmp_path / "faults.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_labels(path, span, shift_s)


def mistakes(tmp_path, text, **more):
    """The sentences of a refusal, without the file's name."""
    with pytest.raises(DocumentError) as refused:
        read(tmp_path, text, **more)
    assert refused.value.exit_code == 2
    return refused.value.message.replace(str(tmp_path / "faults.csv"), "F").splitlines()


def test_the_short_form(tmp_path):
    """Four columns are enough; what nobody told is told to be assumed."""
    (trial,) = read(tmp_path, f"kind,target,start,end\ncpu,orders,{T0 + 60},{T0 + 90.5}\n")

    assert (trial.id, trial.kind, trial.target, trial.intensity, trial.placebo) == ("label-20260921T141420Z", "cpu", "orders", 1.0, False)
    assert trial.windows == Windows(T0 + 60, T0 + 60, None, T0 + 90.5, T0 + 90.5, T0 + 90.5)
    assert (trial.duration_s, trial.outcome, trial.note) == (30.5, Outcome.IMPACT, ASSUMED)


def test_the_short_form_with_all_that_may_be_known(tmp_path):
    """In any order of columns; a placebo has no outcome; the trials are sorted by their start."""
    text = (
        "outcome,end,start,target,kind,placebo,intensity,fault_id\n"
        f"injected-no-impact,{T0 + 20},{T0 + 10},carts,delay,false,0.5,b\n"
        f"impact,{T0 + 6},{T0 + 5},carts,none,yes,0,a\n"
        f"not-injected,{T0 + 40},{T0 + 30},user,kill,0,,c\n"
    )
    found = read(tmp_path, text)

    assert [(one.id, one.kind, one.intensity, one.placebo, one.outcome) for one in found] == [
        ("a", "none", 0.0, True, None),
        ("b", "delay", 0.5, False, Outcome.INJECTED_NO_IMPACT),
        ("c", "kill", 1.0, False, Outcome.NOT_INJECTED),
    ]
    assert {one.note for one in found} == {""}


@pytest.mark.parametrize(
    ("benign", "outcome", "placebo", "expected"),
    [
        ("true", "", "", (True, Outcome.BENIGN)),
        ("", "benign", "", (True, Outcome.BENIGN)),
        ("", "benign-impact", "no", (True, Outcome.BENIGN_IMPACT)),
        ("yes", "impact", "", (True, Outcome.BENIGN_IMPACT)),
        ("yes", "injected-no-impact", "", (True, Outcome.BENIGN)),
        ("1", "not-injected", "", (True, Outcome.NOT_INJECTED)),
        ("no", "", "", (False, Outcome.IMPACT)),
        ("", "", "yes", (False, None)),
        ("maybe", "", "", "F:2: benign 'maybe' is neither true nor false"),
        ("true", "", "true", "F:2: it is a placebo and benign; a placebo changes nothing"),
        ("", "benign", "true", "F:2: it is a placebo and benign; a placebo changes nothing"),
    ],
)
def test_a_benign_change_is_never_called_a_fault(tmp_path, benign, outcome, placebo, expected):
    """By its column or by its outcome; without an outcome it is taken for one that no user noticed, and nothing is assumed of a fault."""
    text = f"kind,target,start,end,benign,outcome,placebo\nrollout,carts,{T0 + 1},{T0 + 2},{benign},{outcome},{placebo}\n"
    if isinstance(expected, str):
        assert mistakes(tmp_path, text) == [expected]
        return
    (found,) = read(tmp_path, text)

    assert (found.benign, found.outcome) == expected
    assert (found.note == ASSUMED) == (expected == (False, Outcome.IMPACT))


def test_labels_from_before_there_were_benign_changes_are_read(tmp_path):
    """The long form of an earlier recording has no such column: every trial is a fault or a placebo."""
    header = "fault_id,kind,target,intensity,placebo,outcome,requested,acknowledged,first_effect,revert_requested,reverted,back_to_normal"
    row = f"t001,crash,orders,1,false,impact,{iso(T0 + 1)},{iso(T0 + 1)},,{iso(T0 + 9)},{iso(T0 + 9)},{iso(T0 + 12)}"
    (found,) = read(tmp_path, f"{header}\n{row}\n")

    assert (found.benign, found.fault, found.outcome) == (False, True, Outcome.IMPACT)


@st.composite
def trials(draw):
    """Trials as a recording has them, at times of whole milliseconds within the span."""
    found = []
    for number in range(draw(st.integers(0, 6))):
        placebo, benign = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
        outcome = draw(st.sampled_from([Outcome.NOT_INJECTED, Outcome.INJECTED_NO_IMPACT, Outcome.IMPACT]))
        outcome = outcome.of_benign if benign else outcome
        times = sorted(draw(st.lists(st.integers(0, 3_600_000), min_size=6, max_size=6, unique=True)))
        names = ("requested", "acknowledged", "first_effect", "revert_requested", "reverted", "back_to_normal")
        moments = {name: round(T0 + time / 1000, 3) for name, time in zip(names, times, strict=True)}
        for name in ("first_effect", "revert_requested", "back_to_normal"):
            moments[name] = draw(st.sampled_from([moments[name], None]))
        windows = Windows(**moments)
        if outcome is Outcome.NOT_INJECTED and draw(st.booleans()):
            windows = Windows(windows.requested, windows.requested)
        length = (windows.reverted or windows.requested) - windows.requested
        name = draw(st.sampled_from(["cpu", "front-end, the old one", 'say "x"', "Füße", "a b"]))
        found.append(
            Trial(
                f"t{number}",
                name,
                name,
                draw(st.sampled_from([0.0, 0.5, 1.0, 200.0])),
                placebo,
                round(length, 3),
                windows,
                None if placebo else outcome,
                benign=benign,
            )
        )
    return found


@given(trials())
@settings(deadline=None, max_examples=60)
def test_the_long_form_is_that_of_a_recording(tmp_path_factory, wanted):
    """What a recording wrote is read back: names, outcomes and all times; the order is that of the starts."""
    wanted = [one for one in wanted if one.windows.reverted is not None or not one.placebo]
    found = read(tmp_path_factory.mktemp("labels"), labels_csv(wanted))

    assert list(found) == [
        Trial(
            **{
                **{name: getattr(one, name) for name in Trial.__slots__},
                "note": "",
                "windows": Windows(**{name: getattr(one.windows, name) for name in Windows.__slots__}),
            }
        )
        for one in sorted(wanted, key=lambda one: (one.windows.requested, one.id))
    ]


@pytest.mark.parametrize(
    "start",
    [
        AT,
        "2026-09-21T16:13:20+02:00",
        "2026-09-21T14:13:20.000Z",
        "20260921T141320Z",
        "2026-09-21 14:13:20+00:00",
        "1790000000",
        "1790000000.000",
        " 1790000000 ",
        "1.79e9",
        f'"{AT}"',
    ],
)
def test_times_in_several_forms_are_one(tmp_path, start):
    """ISO 8601 with any zone, or seconds since 1970; blanks and quotes around do not count."""
    (trial,) = read(tmp_path, f"kind,target,start,end\ncpu,orders,{start},{T0 + 1}\n")

    assert trial.windows.requested == T0


@pytest.mark.parametrize(
    "start",
    [
        "",
        "noon",
        "2026-09-21",
        "2026-09-21T14:13:20",
        "2026-13-01T00:00:00Z",
        "nan",
        "inf",
        "-inf",
        "1e300",
        "1790000000000",
        "14:13",
        "0x6AB13F80",
        "=NOW()",
    ],
)
def test_what_is_no_time_is_refused(tmp_path, start):
    """A zone is needed; milliseconds are none of the forms; nothing that could not be written down again."""
    (mistake,) = mistakes(tmp_path, f"kind,target,start,end\ncpu,orders,{start},{T0 + 1}\n")

    assert mistake == f"F:2: {start!r} is no time: write 2026-11-24T12:00:00Z, or seconds since 1970"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.rstrip("\n").encode(),
        lambda text: text.replace("\n", "\n\n").encode(),
        lambda text: "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text.splitlines()).encode(),
        lambda text: text.replace(",", " , ").encode(),
        lambda text: (text + "\n\n").encode(),
    ],
)
def test_what_spreadsheets_write_is_read(tmp_path, change):
    """A byte order mark, other line ends, none at the end, empty lines, quotes around everything, blanks."""
    text = f"kind,target,start,end\ncpu,orders,{T0 + 1},{T0 + 2}\ndelay,carts,{T0 + 3},{T0 + 4}\n"
    found = read(tmp_path, change(text))

    assert [(one.kind, one.target, one.windows.requested, one.windows.reverted) for one in found] == [
        ("cpu", "orders", T0 + 1, T0 + 2),
        ("delay", "carts", T0 + 3, T0 + 4),
    ]


def test_quotes_keep_commas_and_quotes(tmp_path):
    """As RFC 4180 has it."""
    (trial,) = read(tmp_path, f'kind,target,start,end\n"a ""b"", c",orders,{T0},{T0 + 1}\n')

    assert trial.kind == 'a "b", c'


def test_all_mistakes_are_told_at_once_with_their_lines(tmp_path):
    """The right ones among them do not hide the others; the next step names the columns."""
    text = (
        "kind,target,start,end,intensity,placebo,outcome,fault_id\n"
        f"cpu,orders,{T0 + 1},{T0 + 2},1,no,impact,a\n"
        f",orders,{T0 + 1},{T0 + 2},1,no,impact,b\n"
        f"cpu,orders,{T0 + 5},{T0 + 5},1,no,impact,c\n"
        f"cpu,orders,{T0 - 1},{T0 + 2},1,no,impact,d\n"
        f"cpu,orders,{T0 + 3601},{T0 + 3602},1,no,impact,e\n"
        f"cpu,orders,{T0 + 1},{T0 + 2},much,no,impact,f\n"
        f"cpu,orders,{T0 + 1},{T0 + 2},-1,no,impact,g\n"
        f"cpu,orders,{T0 + 1},{T0 + 2},nan,no,impact,h\n"
        f"cpu,orders,{T0 + 1},{T0 + 2},1,perhaps,impact,i\n"
        f"cpu,orders,{T0 + 1},{T0 + 2},1,no,impakt,j\n"
        f"cpu,orders,{T0 + 1},{T0 + 2},1,no,impact,a\n"
        f"cpu,orders,{T0 + 1},{T0 + 2},1,no,impact,k,more\n"
        f"cpu,orders,{T0 + 1}\n"
        f"cpu,orders,{T0 + 5},{T0 + 4},1,no,,l\n"
    )
    with pytest.raises(DocumentError) as refused:
        read(tmp_path, text)
    found = refused.value.message.replace(f"{tmp_path}/faults.csv:", "").splitlines()

    assert found == [
        "3: kind and target must not be empty",
        "4: its end is not after its start",
        "5: it starts outside of what is imported",
        "6: it starts outside of what is imported",
        "7: intensity 'much' is no number",
        "8: intensity '-1' is not a number from 0 on",
        "9: intensity 'nan' is not a number from 0 on",
        "10: placebo 'perhaps' is neither true nor false",
        "11: outcome 'impakt' is none of not-injected, injected-no-impact, impact, benign, benign-impact; did you mean impact?",
        "12: another fault is called a",
        "13: it has more cells than the header",
        "14: '' is no time: write 2026-11-24T12:00:00Z, or seconds since 1970",
        "15: its end is not after its start",
    ]
    assert refused.value.next_step == "columns: kind,target,start,end and, if known, fault_id,intensity,placebo,benign,outcome"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            "",
            [
                "F:1: there is no column kind",
                "F:1: there is no column target",
                "F:1: there is no column start",
                "F:1: there is no column end",
            ],
        ),
        ("kind,target,start", ["F:1: there is no column end"]),
        ("kind,target,start,end,colour", ["F:1: there is no use for a column 'colour'"]),
        ("kind,target,start,end,intensty", ["F:1: there is no use for a column 'intensty'; did you mean intensity?"]),
        ("kind,target,start,end,end", ["F:1: two columns are called end"]),
        ("kind,target,start,end,", ["F:1: there is no use for a column ''"]),
        ("kind,target,requested", ["F:1: there is no column reverted"]),
        ("kind,target,requested,reverted,start", ["F:1: there is no use for a column 'start'; did you mean target?"]),
        ("kind;target;start;end", 5),
    ],
)
def test_a_wrong_header_is_told(tmp_path, header, expected):
    """What is missing, what is there for nothing, and what was meant."""
    found = mistakes(tmp_path, f"{header}\ncpu,orders,{T0},{T0 + 1}\n")

    assert (len(found) if isinstance(expected, int) else found) == expected


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", '"=HYPERLINK(""http://x"",""y"")"', "a\tb", "a\x1b[31m", '"a\nb"', "a\x00b"]
)
@pytest.mark.parametrize("column", ["kind", "target", "fault_id"])
def test_a_formula_is_no_name(tmp_path, name, column):
    """Labels are opened by spreadsheets and shown by terminals: nothing there may be taken for more than a name."""
    cells = {"kind": "cpu", "target": "orders", "fault_id": "f", column: name}
    (mistake,) = mistakes(
        tmp_path, f"kind,target,fault_id,start,end\n{cells['kind']},{cells['target']},{cells['fault_id']},{T0},{T0 + 1}\n"
    )

    assert "formula" in mistake or "control character" in mistake or "NUL" in mistake


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b'kind,target,start,end\n"cpu,orders,1,2\n', 2),
        (b'kind,target,start,end\n"cpu"x,orders,1,2\n', 2),
        (b'"kind,target,start,end\n', 1),
        (b"kind,target,start,end\rcpu,orders,1,2\r", 1),
        (b"kind,target,start,end\ncpu," + b"x" * 200_000 + b",1,2\n", 2),
    ],
)
def test_what_is_no_csv_is_told_with_its_line(tmp_path, text, line):
    """A quote that does not end, something behind one, line ends of old, a cell without end."""
    found = mistakes(tmp_path, text)

    assert found[-1].startswith(f"F:{line}: ")


@pytest.mark.parametrize(
    "raw", [codecs.BOM_UTF16_LE + "kind,target".encode("utf-16-le"), b"kind,target,start,end\nF\xfc\xdfe,orders,1,2\n"]
)
def test_another_encoding_is_told(tmp_path, raw):
    """UTF-8 it must be; a letter of another one would be a different name."""
    assert "cannot be read" in mistakes(tmp_path, raw)[0]


def test_a_file_that_is_no_file_is_told(tmp_path):
    """Absent, or a folder."""
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(DocumentError, match=f"{path} cannot be read"):
            read_labels(path, SPAN)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    """Labels need a line a fault."""
    assert mistakes(tmp_path, b"x" * (LIMIT_BYTES + 1)) == ["F has more than 4 MB; labels need a line a fault"]


def test_no_fault_is_no_mistake(tmp_path):
    """The header alone: a recording without faults."""
    assert read(tmp_path, "kind,target,start,end\n") == ()


@pytest.mark.parametrize("shift_s", [-30.0, 0.0, 12.345])
def test_times_of_another_clock_are_shifted(tmp_path, shift_s):
    """All of them, in both forms; what is outside is judged by the shifted ones."""
    (short,) = read(tmp_path, f"kind,target,start,end\ncpu,orders,{T0 + 60},{T0 + 90}\n", shift_s=shift_s)
    header = "kind,target,requested,acknowledged,first_effect,revert_requested,reverted,back_to_normal"
    (long,) = read(tmp_path, f"{header}\ncpu,orders,{iso(T0 + 60)},,{iso(T0 + 62)},,{iso(T0 + 90)},{iso(T0 + 95)}\n", shift_s=shift_s)

    assert short.windows == Windows(*(T0 + shift_s + at if at else None for at in (60, 60, None, 90, 90, 90)))
    assert long.windows == Windows(*(T0 + shift_s + at if at else None for at in (60, 60, 62, None, 90, 95)))
    assert len(read(tmp_path, f"kind,target,start,end\ncpu,orders,{T0 - shift_s},{T0 + 90}\n", shift_s=shift_s)) == 1
    assert mistakes(tmp_path, f"kind,target,start,end\ncpu,orders,{T0 - shift_s - 1},{T0 + 90}\n", shift_s=shift_s) == [
        "F:2: it starts outside of what is imported"
    ]
