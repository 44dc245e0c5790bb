"""Which records are one person: what brings them together, what keeps them apart, and that an id stays an id."""

from __future__ import annotations

import json
import logging
import random
import shutil
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_people import Resolved, known_people, precision_and_recall
from opened_vault import everything_inside
from stores import stores_with

from warehouse import erasure
from warehouse.database import open_warehouse
from warehouse.errors import UserError
from warehouse.export import export_person
from warehouse.identity import assign, decisions, linking, published_persons, values
from warehouse.identity.model import LEVELS, SHIPPED, model_path, read_model
from warehouse.identity.names import cleaned_firm_name, compared_names
from warehouse.identity.persons import Link, Persons, Record, Rules
from warehouse.identity.training import train
from warehouse.ledger import read_ledger
from warehouse.registration import register

DAY = date(2024, 3, 1)
#: What the core system says of somebody; every other record is told apart from it field by field.
PERSON = {
    "source_system": "core",
    "source_customer_id": "1",
    "party_type": "personal",
    "name": "王小明",
    "id_type": "resident_identity_card",
    "id_number": "990000198001011234",
    "born_on": date(1980, 1, 1),
    "mobile": "15400000001",
    "email": "one@example.invalid",
    "address": "杭州样本街1号101室",
    "registered_on": date(2020, 1, 1),
    "updated_at": datetime(2020, 1, 1),
}
FORGOTTEN = dict.fromkeys(("id_number", "born_on", "mobile", "email", "address"))
CORE, ELSEWHERE, _ = known_people(10, seed=1)


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=CORE.schema)


def other(number: str = "9", system: str = "crm", **said: Any) -> dict[str, Any]:
    """A record of another system: of the same person as `PERSON`, but for what is said."""
    told = {"source_system": system, "source_customer_id": number, "updated_at": datetime(2024, 3, 1)}
    return PERSON | told | said


def resolved(folder: Path, *rows: dict[str, Any]) -> Resolved:
    """A home with some records."""
    home = Resolved(folder)
    of = {"customers": [], "customers_elsewhere": []}
    for row in rows:
        of["customers" if row["source_system"] == "core" else "customers_elsewhere"].append(row)
    home.deliver({name: table_of(found) for name, found in of.items()})
    return home.run()


def linked(*rows: dict[str, Any]) -> list[tuple[int, int, str]]:
    """Links between records, numbered from 1 in the order given, without vault or warehouse."""
    with duckdb.connect() as inside:
        inside.register("said", pa.Table.from_pylist([{"record": n, **row} for n, row in enumerate(rows, start=1)]))
        names = ", ".join(values.IDENTIFIERS)
        inside.execute(
            f"create table version as select record, party_type, id_type, cast(born_on as date) as born_on, {names}, "
            "date '2024-03-01' as known_on from said"
        )
        inside.execute(
            "create table clear as "
            + " union ".join(f"select {name} as token, {name} as value from said" for name in values.IDENTIFIERS)
        )
        inside.execute("delete from clear where value is null")
        values._normalise(inside)
        found = linking.links(inside, read_model(SHIPPED)).to_pylist()
    return [(link["left"], link["right"], link["evidence"].split(",")[0]) for link in found]


# What brings records together.


@pytest.mark.parametrize(
    ("said", "evidence"),
    [
        ({"name": "李四", "mobile": "1", "id_number": " 990000-19800101-1234 "}, linking.SAME_DOCUMENT),
        ({"id_number": "９９００００１９８００１０１１２３４", "born_on": None}, linking.SAME_DOCUMENT),
        ({"id_number": None, "mobile": "+86 154-0000-0001"}, linking.SAME_MOBILE_AND_BIRTH),
        ({"id_number": None, "mobile": "0086 15400000001", "name": "Xiaoming WANG"}, linking.SAME_MOBILE_AND_BIRTH),
        ({"id_number": None, "name": "小明王", "mobile": "15400000002"}, "model"),
        ({"id_number": None, "name": "汪晓鸣", "mobile": "15400000002"}, "model"),
        ({"id_number": None, "born_on": None, "address": "moved"}, "model"),
        ({"id_number": None, "born_on": date(1980, 1, 10), "email": None, "address": "moved"}, "model"),
        ({"id_number": "990000198001011284", "mobile": None, "email": None, "address": None}, "model"),
    ],
)
def test_the_same_person_is_found_whatever_a_system_got_wrong(said: dict[str, Any], evidence: str) -> None:
    ((left, right, why),) = linked(PERSON, other(**said))
    assert (left, right) == (1, 2)
    assert why.startswith(evidence)


@pytest.mark.parametrize(
    "said",
    [
        # relatives: one home, one telephone, one mail box
        {"id_number": None, "name": "王安", "born_on": date(2009, 5, 3)},
        {"id_number": None, "name": "王小红", "born_on": date(1982, 1, 1)},
        # twins
        {"id_number": None, "name": "王小红"},
        {"id_number": "990000198001019999"},
        {"name": "赵四", "id_number": "990000198001011235"},
        # strangers of one name and birthday
        {"id_number": None, "mobile": "15499999999", "email": "two@example.invalid", "address": "上海范例街9号"},
        FORGOTTEN,
        {"party_type": "corporate"},
    ],
)
def test_two_persons_stay_two_however_much_they_share(said: dict[str, Any]) -> None:
    assert linked(PERSON, other(**said)) == []


def test_what_was_typed_to_get_past_a_form_brings_nobody_together() -> None:
    made_up = {"id_number": "111111111111111111", "mobile": "11111111111"} | dict.fromkeys(("email", "address"))
    assert linked(PERSON | made_up, other(**made_up)) == []


def test_an_old_number_of_fifteen_digits_is_the_new_one_of_eighteen() -> None:
    unsaid = dict.fromkeys(("born_on", "mobile", "email", "address"))
    # the worked example of GB 11643-1999
    new, old = {"id_number": "11010519491231002x"}, {"id_number": "110105491231002", "name": "李四"} | unsaid
    assert linked(PERSON | new, other(**old)) == [(1, 2, linking.SAME_DOCUMENT)]
    assert linked(PERSON | {"id_number": "110105194912310021"}, other(**old)) == []


def test_firms_are_one_by_registration_number_or_by_the_name_without_its_legal_form() -> None:
    firm = other(
        "1",
        "core",
        party_type="corporate",
        name="杭州（测试）贸易有限公司",
        id_number="91330000XX00000001",
        born_on=None,
    ) | dict.fromkeys(("mobile", "email", "address"))
    same_number = firm | {"source_customer_id": "2", "name": "Something else Ltd."}
    same_name = firm | {"source_customer_id": "3", "name": "杭州(测试)贸易有限责任公司", "id_number": None}
    same_place = same_name | {"source_customer_id": "5", "address": "杭州样本街 1 号"}
    another = firm | {
        "source_customer_id": "4",
        "name": "杭州(测试)贸易有限责任公司",
        "id_number": "91330000XX00000002",
    }
    found = linked(firm | {"address": "杭州样本街1号"}, same_number, same_name, another, same_place)
    # of one name are firms of many owners: without a number, a telephone or a place in common nothing says it is one
    assert found == [(1, 2, linking.SAME_DOCUMENT), (1, 5, linking.SAME_FIRM_NAME)]


def strangers(count: int, id_number: str, **said: Any) -> list[dict[str, Any]]:
    """Records that have nothing in common but a document number."""
    alone = {"id_number": id_number} | dict.fromkeys(("mobile", "email", "address"))
    return [
        other(str(n), name=chr(ord("一") + 97 * n) + chr(ord("丁") + 61 * n), born_on=date(1950 + n, 1, 1))
        | alone
        | said
        for n in range(count)
    ]


@pytest.mark.parametrize("id_number", ["UNKNOWN", "not stated", "123456789", "990000199001011234"])
@pytest.mark.parametrize("count", [2, values.MOST_RECORDS_OF_A_DOCUMENT, 30])
def test_a_document_number_that_stands_for_none_brings_no_strangers_together(id_number: str, count: int) -> None:
    assert linked(*strangers(count, id_number)) == []


def test_a_document_number_that_many_records_give_says_nothing_even_of_namesakes() -> None:
    number, most = "123456789", values.MOST_RECORDS_OF_A_DOCUMENT
    same = {"name": "王小明", "born_on": None}
    assert len(linked(*strangers(most, number, **same))) == most * (most - 1) // 2
    assert linked(*strangers(most + 1, number, **same)) == []
    firms = {"party_type": "corporate", "born_on": None}
    assert len(linked(*strangers(most, number, **firms))) == most * (most - 1) // 2
    assert linked(*strangers(most + 1, number, **firms)) == []


def test_a_name_that_many_firms_go_by_does_not_compare_all_of_them() -> None:
    nodes = [
        {"node": n, "record": n, "known_on": DAY, "party_type": "corporate", "letters": "测试"} for n in range(120)
    ]
    texts = ("letters_sorted", "sound", "sound_sorted", "initials", "born", "document", "document_type")
    unsaid = (*texts, "mobile", "email", "address", "address_numbers")
    with duckdb.connect() as inside:
        inside.register("nodes", pa.Table.from_pylist(nodes))
        columns = ", ".join(f"cast(null as varchar) as {name}" for name in unsaid)
        inside.execute(f"create table node as select *, {columns} from nodes")
        values.block(inside)
        (count,) = inside.execute("select count(*) from firm").fetchall()[0]
    assert count == values.MOST_RECORDS_OF_A_VALUE


@given(st.lists(st.sampled_from("王小明李wangming ·-"), max_size=8).map("".join), st.randoms())
@settings(max_examples=60, deadline=None)
def test_a_name_sounds_the_same_in_any_order(name: str, shuffle: random.Random) -> None:
    words = name.split(" ")
    shuffle.shuffle(words)
    first, second = (compared_names([text]) for text in (name, " ".join(words)))
    assert first["sound_sorted"].to_pylist() == second["sound_sorted"].to_pylist() or first.num_rows == 1
    assert first["initials"].to_pylist() == second["initials"].to_pylist()


@pytest.mark.parametrize(("first", "second"), [("张强", "章墙"), ("周玲", "邹琳"), ("陈静", "程婧")])
def test_names_that_are_taken_for_each_other_sound_alike(first: str, second: str) -> None:
    table = compared_names([first, second])
    assert table["letters"][0] != table["letters"][1]
    assert table["sound"][0] == table["sound"][1]


def test_a_firm_name_is_more_than_its_legal_form() -> None:
    assert cleaned_firm_name("测试集团公司") == cleaned_firm_name("测试有限公司")
    assert cleaned_firm_name("测试甲有限公司") != cleaned_firm_name("测试乙有限公司")


def test_a_telephone_that_everybody_gives_does_not_compare_everybody() -> None:
    given_as = {"party_type": "personal", "mobile": "15400000001"}
    texts = ("letters", "letters_sorted", "sound", "sound_sorted", "initials", "born", "document", "document_type")
    unsaid = dict.fromkeys((*texts, "email", "address", "address_numbers"))
    nodes = [{"node": n, "record": n, "known_on": DAY} | given_as | unsaid for n in range(120)]
    with duckdb.connect() as inside:
        inside.register("nodes", pa.Table.from_pylist(nodes))
        names = ", ".join(f"cast({name} as varchar) as {name}" for name in unsaid)
        inside.execute(f"create table node as select * replace ({names}) from nodes")
        assert values.block(inside) == values.MOST_RECORDS_OF_A_VALUE


# How good it is.


def test_persons_of_the_sample_bank_are_found(tmp_path: Path) -> None:
    # The bank as `mainbank sample` writes it: in a smaller one chance alone moves recall by a hundredth.
    core, elsewhere, truth = known_people(20_000, seed=1)
    home = Resolved(tmp_path)
    home.deliver({"customers": core, "customers_elsewhere": elsewhere})
    precision, recall = precision_and_recall(home.run().persons(), truth)
    assert precision >= 0.995
    assert recall >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("seed", [9001, 9002, 9003])
def test_persons_of_banks_never_looked_at_are_found(seed: int, tmp_path: Path) -> None:
    core, elsewhere, truth = known_people(20_000, seed=seed)
    home = Resolved(tmp_path)
    home.deliver({"customers": core, "customers_elsewhere": elsewhere})
    precision, recall = precision_and_recall(home.run().persons(), truth)
    assert precision >= 0.995
    assert recall >= 0.95


# That an id stays an id.


def split_by_day(core: pa.Table, elsewhere: pa.Table, first: date, days: int) -> dict[date | None, dict[str, pa.Table]]:
    """What was known before a day, and what became known on each of the following ones."""
    found: dict[date | None, dict[str, pa.Table]] = {}
    for name, table in (("customers", core), ("customers_elsewhere", elsewhere)):
        known = pc.cast(pc.add(table["updated_at"], pa.scalar(timedelta(hours=8))), pa.date32(), safe=False)
        found.setdefault(None, {})[name] = table.filter(pc.less(known, pa.scalar(first)))
        for number in range(days):
            day = first + timedelta(days=number)
            found.setdefault(day, {})[name] = table.filter(pc.equal(known, pa.scalar(day)))
    return found


@pytest.mark.slow
def test_ids_are_stable_over_thirty_daily_increments(tmp_path: Path) -> None:
    core, elsewhere, _ = known_people(5000, seed=31)
    parts = split_by_day(core, elsewhere, date(2025, 11, 1), 30)
    home, earlier, joined = Resolved(tmp_path / "daily"), {}, 0
    for day, tables in parts.items():
        home.deliver(tables, day)
        now = home.run().persons()
        assert {record: now[record] for record in earlier} == earlier, f"ids changed on {day}"
        joined += len({now[record] for record in now.keys() - earlier.keys()} & set(earlier.values()))
        earlier = now
    assert joined > 0, "records came that joined persons known before"
    assert decisions.read_decisions(home.home, "sample") == []
    at_once = Resolved(tmp_path / "at once")
    for day, tables in parts.items():
        at_once.deliver(tables, day)
    assert at_once.run().persons() == earlier


def test_deliveries_in_any_order_give_the_same_persons(tmp_path: Path) -> None:
    core, elsewhere, _ = known_people(300, seed=5)
    home = Resolved(tmp_path / "one")
    for day, tables in split_by_day(core, elsewhere, date(2025, 6, 1), 3).items():
        home.deliver(tables, day)
    wanted = home.run().query("from raw.person_records order by all")
    ids = [entry.delivery_id for entry in read_ledger(home.home.landing, "sample")]
    order = random.Random(7).sample(ids, len(ids))
    home.home.warehouse.unlink()
    for known in (order[:5], order):
        home.resolve(only=known)
    assert partition(home) == {frozenset(records) for records in by_person(wanted).values()}
    # Without what was decided in between, when less was known, the ids are those of one full load too.
    shutil.rmtree(home.home.decisions / "identity", ignore_errors=True)
    home.home.warehouse.unlink()
    home.resolve()
    assert home.query("from raw.person_records order by all") == wanted


def by_person(rows: list[tuple[Any, ...]]) -> dict[str, set[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = {}
    for _, person, system, number, *_ in rows:
        found.setdefault(person, set()).add((system, number))
    return found


def partition(home: Resolved) -> set[frozenset[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = {}
    for record, person in home.persons().items():
        found.setdefault(person, set()).add(record)
    return {frozenset(records) for records in found.values()}


def test_an_id_that_was_given_out_stays_when_a_record_known_earlier_comes_late(tmp_path: Path) -> None:
    home = resolved(tmp_path, PERSON | {"updated_at": datetime(2022, 1, 1)})
    (person,) = home.persons().values()
    home.deliver({"customers_elsewhere": table_of([other(updated_at=datetime(2019, 1, 1))])})
    # as when a system is connected: the mapping changes and the warehouse is begun anew
    published = published_persons(home.home, home.bank)
    home.home.warehouse.unlink()
    home.land()
    with open_warehouse(home.home.warehouse, home.bank.settings.resources, home.home.temporary) as connection:
        register(connection, home.bank, home.home.landing, read_ledger(home.home.landing, "sample"))
        assign(connection, home.home, home.bank, published=published)
    assert set(home.persons().values()) == {person}
    (line,) = decisions.read_decisions(home.home, "sample")
    assert (line["action"], line["person_id"], line["who"]) == ("keep", person, "pipeline")
    home.home.warehouse.unlink()
    home.resolve()
    assert set(home.persons().values()) == {person}, "a rebuild reads the decision"


def test_nothing_is_done_while_no_customer_changes(tmp_path: Path) -> None:
    home = resolved(tmp_path, PERSON, other())
    readings = (home.home.vault / "access.jsonl").read_text()
    assert home.resolve() is None
    assert (home.home.vault / "access.jsonl").read_text() == readings


def test_two_persons_that_turn_out_to_be_one_keep_the_id_known_first_and_the_other_is_recorded(tmp_path: Path) -> None:
    stranger = other(
        "8", "card", name="李四", born_on=None, id_number=None, mobile="15488888888", email=None, address=None
    )
    home = resolved(tmp_path, PERSON, stranger | {"updated_at": datetime(2024, 1, 1)})
    first, second = home.persons()["core", "1"], home.persons()["card", "8"]
    assert first != second
    # The card system corrects its record: a new version, known later.
    home.deliver(
        {
            "customers_elsewhere": table_of(
                [stranger | {"id_number": PERSON["id_number"], "updated_at": datetime(2024, 5, 1)}]
            )
        },
        date(2024, 5, 1),
    )
    home.run()
    assert set(home.persons().values()) == {first}
    assert home.query("select merged_person_id, person_id, known_on from raw.person_merges") == [
        (second, first, date(2024, 5, 1))
    ]
    history = home.query(
        "select person_id, known_from, known_to from raw.person_records where source_system = 'card' order by 2"
    )
    assert history == [
        (second, date(2024, 1, 1), date(2024, 5, 1)),
        (first, date(2024, 5, 1), date(9999, 12, 31)),
    ]


# What people decide.


def test_what_is_merged_and_split_by_decision_stays_so_in_every_rebuild(tmp_path: Path) -> None:
    stranger = other(
        "8", "card", name="李四", born_on=None, id_number=None, mobile="15488888888", email=None, address=None
    )
    home = resolved(tmp_path, PERSON, stranger, other("9"))
    first, second = home.persons()["core", "1"], home.persons()["card", "8"]
    assert home.persons()["crm", "9"] == first
    decisions.merge(home.home, home.bank, [second, first], reason="came to the counter", who="clerk")
    home.resolve()
    assert set(home.persons().values()) == {first}
    assert home.query("select merged_person_id, person_id from raw.person_merges") == [(second, first)]
    decisions.split(home.home, home.bank, first, ["crm:9"], reason="her brother", who="clerk")
    for _ in range(2):
        home.resolve()
        persons = home.persons()
        assert persons["card", "8"] == persons["core", "1"] == first
        assert persons["crm", "9"] not in {first, second}
        home.home.warehouse.unlink()
    home.resolve()
    decisions.merge(home.home, home.bank, [first, home.persons()["crm", "9"]], reason="no, it was her", who="clerk")
    home.resolve()
    assert set(home.persons().values()) == {first}
    lines = decisions.read_decisions(home.home, "sample")
    assert [(line["action"], line["reason"]) for line in lines if line["who"] == "clerk"] == [
        ("merge", "came to the counter"),
        ("split", "her brother"),
        ("merge", "no, it was her"),
    ]
    said = decisions.decisions_path(home.home, "sample").read_text()
    assert not any(value in said for value in ("王", "李", "15400000001", "15488888888", "9900001980", "example"))


def test_what_cannot_be_decided_is_refused_with_what_can(tmp_path: Path) -> None:
    firm = other(
        "7", "card", party_type="corporate", name="测试有限公司", id_number="91330000XX00000001", mobile="15477777777"
    )
    home = resolved(tmp_path, PERSON, firm, other("9"))
    person, of_firm = home.persons()["core", "1"], home.persons()["card", "7"]
    for attempt, said in (
        (lambda: decisions.merge(home.home, home.bank, [person], reason="r", who="w"), "takes two"),
        (lambda: decisions.merge(home.home, home.bank, [person, "nobody"], reason="r", who="w"), "no such person"),
        (lambda: decisions.merge(home.home, home.bank, [person, of_firm], reason="r", who="w"), "a person and a firm"),
        (lambda: decisions.split(home.home, home.bank, person, ["crm:1"], reason="r", who="w"), "core:1, crm:9"),
        (
            lambda: decisions.split(home.home, home.bank, of_firm, ["card:7"], reason="r", who="w"),
            "no record would stay",
        ),
    ):
        with pytest.raises(UserError, match=said) as refused:
            attempt()
        assert refused.value.exit_code == 2
    assert decisions.read_decisions(home.home, "sample") == []


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_links_and_decisions_say_groups_kept_apart_are_never_one(data: st.DataObject) -> None:
    count = 8
    records = {n: Record(f"r{n}", f"p{n}", DAY + timedelta(days=n)) for n in range(count)}
    number = st.integers(0, count - 1)
    pair = st.tuples(number, number).filter(lambda two: two[0] != two[1])
    links = [
        Link(min(two), max(two), max(records[two[0]].known_on, records[two[1]].known_on), "said")
        for two in data.draw(st.lists(pair, max_size=12))
    ]
    apart = data.draw(st.lists(pair, max_size=3))
    rules = Rules()
    for left, right in apart:
        rules.part([left], [right])
    persons = Persons(records, rules)
    persons.follow(links)
    for left, right in apart:
        assert persons.person_of(left) != persons.person_of(right)
    for members in persons.clusters():
        assert {persons.person_of(member) for member in members} == {f"p{members[0]}"}
    if not apart:
        # In any order of arrival: links of one day are followed as they are sorted, not as they come.
        again = Persons(records, Rules())
        again.follow(data.draw(st.permutations(links)))
        assert sorted(again.clusters()) == sorted(persons.clusters())


def test_two_identity_cards_are_two_persons_even_where_a_third_record_goes_with_both(tmp_path: Path) -> None:
    bridge = other("9", id_number=None, updated_at=datetime(2024, 4, 1))
    second = other("8", "card", id_number="990000198001019876", updated_at=datetime(2024, 3, 1))
    persons = resolved(tmp_path, PERSON, second, bridge).persons()
    assert persons["core", "1"] != persons["card", "8"]
    assert persons["crm", "9"] in {persons["core", "1"], persons["card", "8"]}


# The walls.


def test_no_clear_value_leaves_the_walls(tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    with caplog.at_level(logging.DEBUG):
        home = resolved(tmp_path, PERSON, other(id_number=None, name="王晓明", mobile="15400000007"))
    assert len(set(home.persons().values())) == 1
    texts = [PERSON[name] for name in values.IDENTIFIERS] + ["王晓明", "15400000007"]
    inside = everything_inside(home.home)
    assert [text for text in texts if text not in inside] == []
    home.home.decisions.mkdir(exist_ok=True)
    assert stores_with(texts, home.home.root) == {}
    (evidence,) = home.query("select evidence from raw.person_records where source_system = 'crm'")[0]
    assert evidence.startswith("model ")
    said = caplog.text + "".join(capfd.readouterr()) + evidence
    assert [text for text in [*texts, "1980", "19800101"] if text in said] == []
    assert list((home.home.vault / "spill").iterdir()) == []
    (line,) = map(json.loads, (home.home.vault / "access.jsonl").read_text().splitlines())
    assert (line["role"], line["purpose"], line["is_allowed"]) == ("identity", "identity_resolution", True)


def test_who_is_not_named_as_a_reader_resolves_nobody(tmp_path: Path) -> None:
    home = Resolved(tmp_path)
    home.deliver({"customers": table_of([PERSON]), "customers_elsewhere": table_of([other()])})
    home.land()
    (home.home.vault / "readers.csv").write_text("who,role,from_on,left_on\nsomebody,identity,,\n")
    with pytest.raises(UserError, match="not named for role identity"):
        home.resolve()


def test_a_failure_while_comparing_tells_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = dict(LEVELS)
    broken["name"] = (broken["name"][0], (("same", "cast(letters_l as integer) = 1"), *broken["name"][1][1:]))
    monkeypatch.setattr(linking, "LEVELS", broken)
    with pytest.raises(UserError) as refused:
        linked(PERSON, other(id_number=None))
    assert "王" not in str(refused.value)
    assert refused.value.__context__ is None, "nothing that a log would print"


def test_erasure_and_export_follow_a_person_over_all_records(tmp_path: Path) -> None:
    home = resolved(
        tmp_path,
        PERSON,
        other("9"),
        other(
            "8",
            "card",
            name="李四",
            id_number="990000197001018888",
            mobile="15488888888",
            email="four@example.invalid",
            address="宁波测试巷8号",
            born_on=date(1970, 1, 1),
        ),
    )
    person = home.persons()["core", "1"]
    held = export_person(home.home, home.bank, person, purpose="access_request", role="customer_request", who="tester")
    assert {row["source_customer_id"] for rows in held["delivered"].values() for row in rows} == {"1", "9"}
    assert {(row["source"], row["value"]) for row in held["identifiers"] if row["column"] == "name"} == {
        ("customers", "王小明"),
        ("crm_customers", "王小明"),
    }
    erasure.erase(home.home, home.bank, [person], reason="asked", who="tester")
    home.run()
    assert set(home.persons()) == {("card", "8")}
    assert "王小明" not in everything_inside(home.home)


def test_of_who_is_erased_no_decision_is_left_and_what_was_decided_of_others_stays(tmp_path: Path) -> None:
    unlike = {"id_number": None, "mobile": None, "email": None, "address": None}
    home = resolved(
        tmp_path,
        PERSON,
        other("9"),
        other("8", "card", name="李四", born_on=date(1970, 1, 1), **unlike),
        other("7", name="赵六", born_on=date(1960, 1, 1), **unlike),
    )
    persons = home.persons()
    erased, stranger = persons["core", "1"], persons["card", "8"]
    decisions.merge(home.home, home.bank, [stranger, persons["crm", "7"]], reason="one passport", who="clerk")
    decisions.split(home.home, home.bank, erased, ["crm:9"], reason="王小明 never was there", who="clerk")
    home.resolve()
    before = home.persons()
    assert len({before["core", "1"], before["crm", "9"], before["card", "8"]}) == 3
    assert before["crm", "7"] == before["card", "8"]
    decisions.merge(home.home, home.bank, [erased, before["card", "8"]], reason="王小明 and 李四", who="clerk")
    home.resolve()
    decisions.split(home.home, home.bank, erased, ["card:8", "crm:7"], reason="a mistake about 王小明", who="clerk")
    home.resolve()
    assert home.persons() == before
    (record,) = home.query("select distinct record_id from raw.person_records where source_system = 'core'")
    erasure.erase(home.home, home.bank, [erased], reason="asked", who="tester")
    text = decisions.decisions_path(home.home, "sample").read_text()
    assert not any(named in text for named in ("王小明", erased, record[0]))
    assert "one passport" in text
    home.run()
    assert home.persons() == {place: person for place, person in before.items() if place != ("core", "1")}
    home.home.warehouse.unlink()
    home.resolve()
    assert home.persons() == {place: person for place, person in before.items() if place != ("core", "1")}


def test_a_hold_on_an_id_that_went_into_another_blocks_the_erasure_of_that_one(tmp_path: Path) -> None:
    stranger = other(
        "8", "card", name="李四", born_on=None, id_number=None, mobile="15488888888", email=None, address=None
    )
    home = resolved(tmp_path, PERSON, stranger)
    first, second = home.persons()["core", "1"], home.persons()["card", "8"]
    erasure.set_hold(home.home, home.bank, second, reason="court", who="tester", is_release=False)
    decisions.merge(home.home, home.bank, [first, second], reason="one", who="clerk")
    home.resolve()
    with pytest.raises(UserError, match="legal hold"):
        erasure.erase(home.home, home.bank, [first], reason="asked", who="tester")
    with pytest.raises(UserError, match=f"{second} is {first} now"):
        erasure.erase(home.home, home.bank, [second], reason="asked", who="tester")
    erasure.set_hold(home.home, home.bank, second, reason="over", who="tester", is_release=True)
    erasure.erase(home.home, home.bank, [first], reason="asked", who="tester")
    home.run()
    assert home.persons() == {}


# The model.


def test_the_shipped_weights_say_how_often_each_level_is_seen() -> None:
    model = read_model(SHIPPED)
    for kind in (model.m, model.u):
        for comparison, levels in kind.items():
            assert sum(levels.values()) == pytest.approx(1, abs=1e-6), comparison
    assert 6 < model.threshold_weight < 7


@pytest.mark.parametrize(
    ("stated", "instead", "said"),
    [
        ("comparisons:", "other:", "comparisons"),
        ("prior: 1.0e-7", "prior: {", "cannot be read"),
        ("prior: 1.0e-7", "prior: 1.5", "prior 1.5"),
        ("m: 0.85", "m: 0.0", "name, same: m 0.0"),
        ("same: {m: 0.97, u: 5.0e-5}", "same: {m: 1.0e-6, u: 5.0e-5}", "birth_date: -5.6 bits for same"),
    ],
)
def test_a_model_that_does_not_hold_together_is_refused(stated: str, instead: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(SHIPPED.read_text().replace(stated, instead))
    with pytest.raises(UserError, match=said):
        read_model(path)


@pytest.mark.slow
def test_training_without_labels_gives_the_same_model_twice_and_finds_persons_as_well(tmp_path: Path) -> None:
    core, elsewhere, truth = known_people(20_000, seed=77)
    home = Resolved(tmp_path)
    home.deliver({"customers": core, "customers_elsewhere": elsewhere})
    home.run()
    model = train(home.home, home.bank, seed=3, reason="first year", who="tester")
    first = model_path(home.home, "sample").read_bytes()
    assert train(home.home, home.bank, seed=3, reason="again", who="tester") == model
    assert model_path(home.home, "sample").read_bytes() == first
    assert model != read_model(SHIPPED)
    before = home.persons()
    assert home.resolve() is not None, "a model trained anew is applied by the next run"
    precision, recall = precision_and_recall(home.persons(), truth)
    assert (precision >= 0.995, recall >= 0.95) == (True, True)
    changed = {record for record in before if home.persons()[record] != before[record]}
    gone = {before[record] for record in changed} - set(home.persons().values())
    assert gone <= {row[0] for row in home.query("select merged_person_id from raw.person_merges")}


def test_training_on_too_few_records_changes_nothing(tmp_path: Path) -> None:
    home = resolved(tmp_path, PERSON, other())
    with pytest.raises(UserError, match="too few records"):
        train(home.home, home.bank, seed=1, reason="early", who="tester")
    assert not model_path(home.home, "sample").exists()
    assert home.resolve() is None
