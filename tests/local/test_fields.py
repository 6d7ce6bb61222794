"""Every field that Cloudflare's Python SDK can send to what is here: what becomes of it, and which test holds that.

A field is obeyed ("works"), is a line of DIFFERENCES.md ("differs"), or is refused ("refused").
"""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import cloudflare
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TYPES = Path(cloudflare.__file__).parent / "types"
MODELS = {
    "workers/script_update_params.py": "script",
    "workers/beta/workers/version_create_params.py": "version",
    "workers/beta/worker_create_params.py": "worker",
    "workers/scripts/subdomain_create_params.py": "subdomain",
    "workers/scripts/schedule_update_params.py": "schedules",
    "workflows/workflow_update_params.py": "workflow",
    "workflows/instance_create_params.py": "instance",
    "queues/queue_create_params.py": "queue",
    "queues/queue_update_params.py": "queue",
    "queues/consumer_create_params.py": "consumer",
    "queues/message_push_params.py": "message",
    "queues/message_pull_params.py": "pull",
    "d1/database_create_params.py": "database",
    "d1/database_query_params.py": "query",
    "kv/namespace_create_params.py": "namespace",
    "kv/namespaces/value_update_params.py": "value",
    "r2/bucket_create_params.py": "bucket",
}

ELSEWHERE = (
    "AI|AISearch|AISearchNamespace|Messaging|Artifacts|Browser|DispatchNamespace*|Hyperdrive|Images|Media|MTLSCertificate"
    "|Pipelines|K2|SendEmail|Vectorize|SecretsStoreSecret|Flagship|SecretKey*|VPCService|VPCNetwork"
)

# Pattern of "model.Class.field", what becomes of it, and its test. The first that fits counts.
FIELDS: list[tuple[str, str, str]] = [
    ("*.account_id", "works", "test_another_account_is_refused"),
    *(
        (f"*BindingKind{kind}.*", "refused", "test_a_binding_to_such_a_product_is_refused")
        for kind in ELSEWHERE.split("|")
    ),
    ("*BindingKindAnalyticsEngine.*", "differs", "test_points_of_analytics_engine_cannot_be_read"),
    ("*BindingKindAssets.*", "works", "test_code_gets_what_no_asset_answers"),
    (
        "*BindingKindDurableObjectNamespace.environment",
        "refused",
        "test_a_field_of_a_binding_that_is_not_here_is_refused",
    ),
    (
        "*BindingKindDurableObjectNamespace.dispatch_namespace",
        "refused",
        "test_a_field_of_a_binding_that_is_not_here_is_refused",
    ),
    ("*BindingKindDurableObjectNamespace.namespace_id", "works", "test_a_durable_object_namespace_is_bound_by_its_id"),
    ("*BindingKindService.environment", "refused", "test_a_field_of_a_binding_that_is_not_here_is_refused"),
    ("*BindingKindService.*", "works", "test_props_arrive_at_the_entrypoint"),
    (
        "*BindingKindRatelimitSimple.mitigation_timeout",
        "refused",
        "test_a_field_of_a_binding_that_is_not_here_is_refused",
    ),
    ("*BindingKindRatelimit*.*", "works", "test_a_rate_limit_holds"),
    ("*BindingKindInherit.*", "works", "test_bindings_are_kept_and_inherited"),
    ("*BindingKindR2Bucket.*", "works", "test_a_jurisdiction_has_names_of_its_own"),
    ("*BindingKindWorkflow.*", "works", "test_a_version_may_bind_what_does_not_exist"),
    ("*BindingKindVersionMetadata.*", "works", "test_a_version_knows_itself"),
    ("*BindingKind*", "works", "test_a_worker_reaches_what_it_binds"),
    ("*Assets*.*", "works", "test_not_found_handling"),
    ("*Annotations.*", "works", "test_a_version_knows_itself"),
    ("*CacheOptions.*", "differs", "test_kept_settings_have_no_effect"),
    ("*.cache_options", "differs", "test_kept_settings_have_no_effect"),
    ("worker.PreviewsBaseConfig*.*", "refused", "test_previews_have_no_settings_of_their_own"),
    ("worker.*.previews_base_config", "refused", "test_previews_have_no_settings_of_their_own"),
    ("*WorkerExport*.*", "differs", "test_kept_settings_have_no_effect"),
    ("*TransferredExport.*", "refused", "test_bad_input_is_named"),
    ("*ExpectingTransferExport.*", "refused", "test_bad_input_is_named"),
    ("*Export*.*", "works", "test_exports_agree_with_the_code"),
    ("*.exports", "works", "test_exports_agree_with_the_code"),
    ("*igration*", "works", "test_migrations_come_with_an_upload_and_not_with_a_version"),
    ("*.containers", "refused", "test_what_is_not_here_yet_says_so"),
    ("*Container.*", "refused", "test_what_is_not_here_yet_says_so"),
    ("workflow.Limits.*", "works", "test_a_bad_body_is_refused"),
    ("workflow.*.limits", "works", "test_a_bad_body_is_refused"),
    ("workflow.*Schedule*", "refused", "test_a_bad_body_is_refused"),
    ("workflow.*.schedules", "refused", "test_a_bad_body_is_refused"),
    ("workflow.*oncurrency*", "works", "no more instances run at once than the workflow lets"),
    ("workflow.*etention*", "works", "instances go when their retention is over"),
    ("workflow.*", "works", "test_put_makes_a_version_and_keeps_the_instances"),
    ("instance.*etention*", "works", "instances go when their retention is over"),
    ("instance.*.location_hint", "differs", "test_there_is_one_place"),
    ("instance.*", "works", "test_a_batch_leaves_out_what_exists"),
    ("*Limits.*", "differs", "test_kept_settings_have_no_effect"),
    ("*.limits", "differs", "test_kept_settings_have_no_effect"),
    ("*Placement*", "differs", "test_kept_settings_have_no_effect"),
    ("*.placement", "differs", "test_kept_settings_have_no_effect"),
    ("*PackageDependency.*", "differs", "test_kept_settings_have_no_effect"),
    ("*.package_dependencies", "differs", "test_kept_settings_have_no_effect"),
    ("*.usage_model", "differs", "test_kept_settings_have_no_effect"),
    ("*bservability*", "differs", "test_logs_are_kept_whatever_the_settings_say"),
    ("*.logpush", "differs", "test_logs_are_kept_whatever_the_settings_say"),
    ("*ail*onsumer*", "works", "test_a_tail_worker_is_told_of_each_invocation"),
    ("*.tags", "works", "test_settings_can_be_changed_alone"),
    ("*ubdomain*.enabled", "differs", "test_a_disabled_address_still_answers"),
    ("*.previews_enabled", "works", "test_previews_can_be_switched_off"),
    ("*.subdomain", "works", "test_previews_can_be_switched_off"),
    ("script.*.bindings_inherit", "works", "test_what_cannot_be_inherited"),
    ("script.*.keep_bindings", "works", "test_bindings_are_kept_and_inherited"),
    ("script.*.keep_assets", "works", "test_assets_stay_when_they_are_to_be_kept"),
    ("script.*", "works", "test_an_upload_creates_a_worker_and_deploys_it"),
    ("version.*", "works", "test_a_version_runs_once_it_is_deployed"),
    ("worker.*", "works", "test_lives_through_the_sdk"),
    ("schedules.*", "works", "test_a_put_replaces_all_and_keeps_the_order"),
    ("queue.*.jurisdiction", "differs", "test_there_is_one_place"),
    ("queue.*", "works", "test_settings_have_ranges"),
    ("consumer.*", "works", "test_settings_of_a_worker_have_ranges"),
    ("message.*", "works", "test_a_message_that_does_not_fit_is_refused"),
    ("pull.*", "works", "test_a_lease_runs_out"),
    ("database.*.jurisdiction", "differs", "test_there_is_one_place"),
    ("database.*.primary_location_hint", "differs", "test_there_is_one_place"),
    ("database.*ead*eplication*", "differs", "test_there_is_one_place"),
    ("database.*", "works", "test_lives_through_the_sdk"),
    ("query.*", "works", "test_parameters_are_bound_in_order_and_by_number"),
    ("namespace.*.jurisdiction", "differs", "test_there_is_one_place"),
    ("namespace.*", "works", "test_a_title_is_needed_and_taken_once"),
    ("value.*", "works", "test_an_expiration_lies_ahead"),
    ("bucket.*.storage_class", "differs", "test_objects_of_r2_have_no_storage_class"),
    ("bucket.*.location_hint", "differs", "test_there_is_one_place"),
    ("bucket.*", "works", "test_a_jurisdiction_has_names_of_its_own"),
]


def sdk_fields() -> Iterator[str]:
    """Name every field of the SDK's models of requests: model.Class.field."""
    for file, model in MODELS.items():
        tree = ast.parse((TYPES / file).read_text())
        for node in tree.body:
            if not isinstance(node, ast.ClassDef):
                continue
            for item in node.body:
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                    yield f"{model}.{node.name}.{item.target.id}"


def entry_of(field: str) -> tuple[str, str, str] | None:
    return next((entry for entry in FIELDS if fnmatchcase(field, entry[0])), None)


def test_every_field_is_in_the_table() -> None:
    assert [field for field in sdk_fields() if entry_of(field) is None] == []


def test_the_table_has_nothing_else() -> None:
    used = {entry_of(field) for field in sdk_fields()}
    assert [entry[0] for entry in FIELDS if entry not in used] == []


def test_each_field_names_a_test_that_is_there() -> None:
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        found.update(re.findall(r"def (test_\w+)", path.read_text()))
    for path in (ROOT / "tests").rglob("*.test.js"):
        found.update(re.findall(r"test\('(.+?)', async", path.read_text()))
    assert sorted({test for _, _, test in FIELDS} - found) == []


@pytest.mark.parametrize("entry", [entry for entry in FIELDS if entry[1] == "differs"])
def test_what_differs_is_a_line_of_the_differences(entry: tuple[str, str, str]) -> None:
    differences = "".join(path.read_text() for path in (ROOT / "local").rglob("DIFFERENCES.md"))
    assert f"`{entry[2]}`" in differences
