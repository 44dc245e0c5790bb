"""A bank of a few rows for tests: two source systems' worth of mapping, CSV files made on the spot."""

from __future__ import annotations

from pathlib import Path

MAPPING = """\
bank: small
sources:
  branch:
    source_system: core
    file: branch.csv
    format: {type: csv}
    key: [branch_id]
    columns:
      branch_id: {type: BIGINT, required: true}
      town: {}
  person:
    source_system: core
    file: person.csv
    format: {type: csv}
    key: [person_id]
    record: person_id
    columns:
      person_id: {type: BIGINT, required: true}
      full_name: {personal_data: direct_identifier}
      sex: {personal_data: quasi_identifier}
      income: {type: "DECIMAL(18,2)", personal_data: sensitive}
      joined_on: {type: DATE}
      branch_id: {type: BIGINT}
    derive:
      initial: {expression: "left(full_name, 1)", type: VARCHAR}
  contract:
    source_system: core
    file: contract.csv
    format: {type: csv}
    key: [contract_id]
    known_on: opened_on
    columns:
      contract_id: {type: BIGINT, required: true}
      person_id: {type: BIGINT}
      kind: {}
      opened_on: {type: DATE, required: true}
      share_of: {type: DOUBLE}
  posting:
    source_system: core
    file: posting.csv
    format: {type: csv}
    key: [posting_id]
    known_on: cast(booked_at as date)
    columns:
      posting_id: {type: BIGINT, required: true}
      contract_id: {type: BIGINT}
      booked_at: {type: TIMESTAMP, required: true}
      amount: {type: "DECIMAL(18,2)"}
      why: {}
      other_side: {personal_data: direct_identifier}
codes:
  sex: {F: female, M: male}
  why: {S: salary, F: fee, X: ~}
  product: {D: DEMAND, T: TERM}
tables:
  branches:
    - from: branch
      columns:
        branch_id: branch_id
        name: town
        city: town
  products:
    - rows:
        - {product_code: DEMAND, category: deposit_demand, side: liability}
        - {product_code: TERM, category: deposit_term, side: liability, term_days: 365}
  customers:
    - from: person
      columns:
        source_customer_id: person_id
        party_type: "'personal'"
        name: full_name
        gender: {code: sex, of: sex}
        annual_income: income
        registered_on: joined_on
        registered_branch_id: branch_id
  accounts:
    - from: contract
      lookups:
        owner: {source: person, on: {person_id: person_id}}
      columns:
        account_id: contract_id
        source_customer_id: owner.person_id
        product_code: {code: product, of: kind}
        branch_id: owner.branch_id
        currency: "'CNY'"
        opened_on: opened_on
  transactions:
    - from: posting
      columns:
        transaction_id: posting_id
        account_id: contract_id
        posted_at: bank_time_to_utc(booked_at)
        currency: "'CNY'"
        amount: amount
        kind: {code: why, of: why}
        counterparty_account: other_side
"""

SETTINGS = """\
name: {en: Small bank, zh: 小银行}
environment: demonstration
base_currency: CNY
time_zone: Asia/Shanghai
as_of: {rule: last_complete_delivery, source_system: core}
quarantine: {maximum_share: 0.5}
release: {kept: 3}
resources: {memory_limit: 1GB, threads: 2}
"""

FILES = {
    "branch.csv": "branch_id,town\n1,Hangzhou\n2,Ningbo\n",
    "person.csv": (
        "person_id,full_name,sex,income,joined_on,branch_id\n"
        "1,Zhang San,M,1000.00,2020-01-05,1\n"
        "2,Li Si,F,2000.00,2020-02-05,2\n"
    ),
    "contract.csv": "contract_id,person_id,kind,opened_on,share_of\n10,1,D,2021-03-01,2\n11,2,T,2021-04-01,4\n",
    "posting.csv": (
        "posting_id,contract_id,booked_at,amount,why,other_side\n"
        "100,10,2021-03-02 09:00:00,50.00,S,62220001\n"
        "101,11,2021-04-02 23:30:00,-1.00,F,\n"
    ),
}


def write_bank(folder: Path, mapping: str = MAPPING, settings: str = SETTINGS) -> Path:
    """Write mapping and settings; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mapping.yml").write_text(mapping, encoding="utf-8")
    (folder / "bank.yml").write_text(settings, encoding="utf-8")
    return folder


def write_data(folder: Path, files: dict[str, str] = FILES) -> Path:
    """Write delivered files, named by their path below the folder; the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
