"""What a PostgreSQL server lets a user do, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers import Postgres, postgres

from warehouse.sources.database import Address, Session, SourceRefusedError
from warehouse.sources.proposal import propose

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        (running.folder / "pg_hba.conf").write_text(
            "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )
        running.run("create user reader password 'not-told'; select pg_reload_conf();")
        yield running


@pytest.mark.parametrize(
    ("password", "database", "said"),
    [("wrong", "postgres", "password authentication failed"), ("not-told", "nowhere", "does not exist")],
)
def test_a_refused_login_fails_at_once_and_says_so(server: Postgres, password: str, database: str, said: str) -> None:
    address = Address.of(f"postgresql://reader:{password}@127.0.0.1:{server.port}/{database}", "CORE_URL")
    with Session(address) as session, pytest.raises(SourceRefusedError, match="refuses the login") as refused:
        session.table("select 1 as n")
    # The pool of connections tries for half a minute, then says that it timed out.
    assert "timed out" not in str(refused.value)
    assert said in str(refused.value)
    assert "CORE_URL" in str(refused.value)
    assert password not in str(refused.value)
    right = Address.of(f"postgresql://reader:not-told@127.0.0.1:{server.port}/postgres")
    with Session(right) as session:
        assert session.table("select 1 as n").to_pylist() == [{"n": 1}]


def test_keys_are_found_by_a_user_who_may_only_read(server: Postgres) -> None:
    server.run(
        "create schema core; create table core.entries (note text, entry_no bigint, book_no bigint, "
        "primary key (book_no, entry_no)); grant usage on schema core to reader; "
        "grant select on core.entries to reader;"
    )
    address = Address.of(f"postgresql://reader:not-told@127.0.0.1:{server.port}/postgres")
    text = propose(address, "CORE_URL", ["core"])
    assert "key: [entry_no, book_no]" in text
    assert "entry_no: {required: true, type: BIGINT}" in text
