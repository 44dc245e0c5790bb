"""dbt's models as assets, its tests as their checks: one pass before the mining, one after it."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets
from dagster_dbt.asset_utils import get_asset_check_key_for_test, get_subset_selection_for_context

from dagster_project.defs.resources import Installation
from dagster_project.lib import dbt, lag
from dagster_project.lib.build import OWNERS, current_build, reading, record_checks, row_counts

PROGRESS_SECONDS = 5
"""How often a pass says how far it is."""

MINED = "tag:mined"
"""The models that read what the miners wrote: built in the second pass."""

_BLOCKED = ("fail", "error", "runtime error")


class Translator(DagsterDbtTranslator):
    """Keys are ``[schema, table]``; groups are the areas of the warehouse."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Schema and table, as a query would name them."""
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["alias"] or dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The area: the first folder below ``models/``, or ``seeds``."""
        return "seeds" if dbt_resource_props["resource_type"] == "seed" else str(dbt_resource_props["fqn"][1])

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The model's meaning, in both languages."""
        return str(dbt_resource_props.get("description") or dbt_resource_props["name"])

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """The same for all: a bank that splits the work changes it in one place."""
        return OWNERS


_translator = Translator(settings=DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))
_manifest = dbt.load_manifest()


def _run(
    context: dg.AssetExecutionContext,
    installation: Installation,
    *,
    select: str | None = None,
    exclude: str | None = None,
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Build the models of one pass with their tests and report each; raise when a blocking test fails."""
    selection = ["--select", select] if select else ["--exclude", exclude or ""]
    indirect_selection = None
    if context.is_subset:  # somebody asked for some of the models only, in the UI
        selection, indirect_selection = get_subset_selection_for_context(
            context, _manifest, select, exclude, None, _translator, None
        )

    done, spoken_at = 0, time.monotonic()

    def on_node(name: str, status: str, seconds: float) -> None:
        # Each line is a row in Dagster's storage and takes milliseconds: one now and then, not one per node.
        nonlocal done, spoken_at
        done += 1
        if time.monotonic() - spoken_at >= PROGRESS_SECONDS:
            spoken_at = time.monotonic()
            context.log.info(f"{done} nodes done; last {name}: {status} ({seconds:.1f} s)")

    bank = installation.bank
    build = current_build(installation.home)
    settings = {
        "as_of": build.as_of.isoformat(),
        "base_currency": bank.settings.base_currency,
        "time_zone": bank.settings.time_zone,
    }
    results = dbt.invoke(
        [
            *("build", "--quiet", "--no-write-json"),
            # Unit tests are about the code, not about tonight's data: `make test` runs them.
            *("--exclude-resource-type", "unit_test"),
            *("--vars", json.dumps(settings)),
            *selection,
        ],
        environment={
            **dbt.variables(
                build.warehouse, build.temporary, bank.settings.resources.memory_limit, bank.settings.resources.threads
            ),
            **({"DBT_INDIRECT_SELECTION": indirect_selection} if indirect_selection else {}),
        },
        on_node=on_node,
    )
    record_checks(build, bank, context.op_execution_context.op.name, results)
    built = {
        result.unique_id: result for result in results if result.resource_type in ("model", "seed") and result.is_good
    }
    keys = {unique_id: _translator.get_asset_spec(_manifest, unique_id, None).key for unique_id in built}
    counts = row_counts(build, bank, [(key.path[0], key.path[1]) for key in keys.values()])
    tests = [result for result in results if result.resource_type in ("test", "unit_test")]
    context.log.info(
        f"{len(built)} models and seeds, {len(tests)} tests, {sum(not test.is_good for test in tests)} failing"
    )
    for unique_id, result in built.items():
        key = keys[unique_id]
        metadata: dict[str, Any] = {"seconds": round(result.seconds, 3)}
        if (key.path[0], key.path[1]) in counts:
            metadata["dagster/row_count"] = counts[key.path[0], key.path[1]]
        if tuple(key.path) == lag.TABLE:
            with reading(build, bank) as connection:
                metadata |= lag.lag_metadata(connection)
        yield dg.MaterializeResult(asset_key=key, metadata=metadata)
    for result in results:
        if result.resource_type == "test" and result.status != "skipped":
            check = get_asset_check_key_for_test(_manifest, _translator, result.unique_id, None)
            if check is not None:
                yield dg.AssetCheckResult(
                    asset_key=check.asset_key,
                    check_name=check.name,
                    passed=result.status == "pass",
                    severity=(dg.AssetCheckSeverity.WARN if result.status == "warn" else dg.AssetCheckSeverity.ERROR),
                    metadata={"status": result.status, "failing rows": result.failures, "message": result.message},
                )
    wrong = [result for result in results if result.status in _BLOCKED]
    if wrong:
        lines = "\n".join(f"  {result.name}: {result.status}, {result.message}" for result in wrong)
        raise dg.Failure(
            f"{len(wrong)} models or tests of dbt did not pass; the release is not made and readers keep the one "
            f"they have:\n{lines}\nThe SQL that was run is below {dbt.TARGET / 'compiled'}.",
            allow_retries=False,
        )


@dbt_assets(
    manifest=_manifest,
    dagster_dbt_translator=_translator,
    name="transformation",
    exclude=MINED,
    pool="duckdb_writer",
)
def transformation(context: dg.AssetExecutionContext, installation: Installation) -> Iterator[Any]:
    """Staging, the star, the marts and the features, with their tests."""
    yield from _run(context, installation, exclude=MINED)


@dbt_assets(
    manifest=_manifest,
    dagster_dbt_translator=_translator,
    name="mining_results",
    select=MINED,
    pool="duckdb_writer",
)
def mining_results(context: dg.AssetExecutionContext, installation: Installation) -> Iterator[Any]:
    """What the miners found, as contracted and tested tables."""
    yield from _run(context, installation, select=MINED)
