"""A user's mistake ends with exit code 2, names the place, shows no traceback and leaves nothing half-written."""

import shutil
from pathlib import Path

import pytest

from warehouse.sample_bank.berka_shape import write_berka_shaped_bank


@pytest.fixture
def data(tmp_path) -> Path:
    return write_berka_shaped_bank(tmp_path / "data", customers=20, months=3)


@pytest.fixture
def refused(mainbank, tmp_path):
    def run(data, *places, source="berka", home=tmp_path / "home"):
        return check_refused(mainbank, home, data, places, source)

    return run


def check_refused(mainbank, home, data, places, source):
    outcome = mainbank(home, "run", "--source", str(source), "--data", str(data))
    said = outcome.stdout + outcome.stderr
    assert outcome.returncode == 2, said
    assert "Traceback" not in said, said
    for place in places:
        assert place in said, said
    if home.is_dir():
        assert not (home / "current").exists()
        assert not (home / "warehouse.duckdb").exists()
    return said


def mapping_with(tmp_path, old, new):
    shipped = Path(__file__).resolve().parents[2] / "warehouse" / "banks" / "berka"
    folder = tmp_path / "bank"
    shutil.copytree(shipped, folder)
    text = (folder / "mapping.yml").read_text()
    assert old in text
    (folder / "mapping.yml").write_text(text.replace(old, new, 1))
    return folder


def test_a_missing_file(tmp_path, data, refused):
    (data / "loan.asc").unlink()
    refused(data, "loan.asc")


def test_a_missing_column(tmp_path, data, refused):
    file = data / "loan.asc"
    file.write_text(file.read_text().replace('"duration"', '"dauer"', 1))
    refused(data, "loan.asc", "duration", "dauer")


def test_a_wrong_delimiter(tmp_path, data, refused):
    file = data / "client.asc"
    file.write_text(file.read_text().replace(";", ","))
    refused(data, "client.asc", "';'", "','")


def test_an_html_page_under_the_name_of_a_table(tmp_path, data, refused):
    (data / "card.asc").write_text("<!DOCTYPE html>\n<html><body>Session expired</body></html>\n")
    refused(data, "card.asc", "web page")


def test_a_mapping_with_an_unknown_table(tmp_path, data, refused):
    bank = mapping_with(tmp_path, "\n  transactions:", "\n  transactionz:")
    refused(data, "mapping.yml, line", "transactionz", "transactions", source=bank)


def test_a_mapping_with_an_unknown_column(tmp_path, data, refused):
    bank = mapping_with(tmp_path, "      birth_number: {type", "      birth_nummer: {type")
    refused(data, "mapping.yml, line", "birth_number", source=bank)


def test_a_home_that_cannot_be_written(tmp_path, data, refused):
    home = tmp_path / "home"
    home.write_text("a file, not a folder")
    said = refused(data, str(home), "MAINBANK_HOME", home=home)
    assert home.read_text() == "a file, not a folder", said


def test_a_bank_nobody_ships_and_a_folder_that_is_not_there(tmp_path, data, refused):
    refused(data, "SOURCE=berkka", "berka", source="berkka")
    refused(tmp_path / "nowhere", "DATA", "nowhere")


def test_too_many_faulty_rows_refuse_the_delivery_with_counts_and_examples(tmp_path, data, refused):
    lines = (data / "account.asc").read_text().splitlines(keepends=True)
    (data / "account.asc").write_text("".join([lines[0], *(line[:-7] + "991399\n" for line in lines[1:])]))
    refused(data, "account.asc", "991399")


def test_an_as_of_date_that_is_none(tmp_path, data, mainbank):
    outcome = mainbank(tmp_path / "home", "run", "--source", "berka", "--data", str(data), "--as-of", "31.3.1994")
    assert outcome.returncode == 2
    assert "31.3.1994" in outcome.stderr + outcome.stdout


def test_an_override_that_leaves_a_gap(tmp_path, data, refused):
    shipped = Path(__file__).resolve().parents[2] / "dbt" / "seeds" / "tier_bands.csv"
    bank = mapping_with(tmp_path, "bank: berka", "bank: berka")
    (bank / "overrides").mkdir(exist_ok=True)
    lines = [line for line in shipped.read_text().splitlines(keepends=True) if not line.startswith("gold")]
    (bank / "overrides" / "tier_bands.csv").write_text("".join(lines))
    refused(data, "tier_bands.csv", "premier_gold", "200000.00", source=bank)
