"""Where the real API, or a client that Cloudflare publishes, contradicts the models of Cloudflare's Python SDK 5.9.0.

`tests/local/test_python_sdk.py` fails when one of these is needed no longer.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Erratum:
    """A part of a reply that is right though it is not as published."""

    operations: str  # their names in the SDK; * is for any
    place: str  # of the reply, as `published.complaints` names it; * is for any index, or at the end for all below
    reason: str

    def excuses(self, operation: str, complaint: str) -> bool:
        """Tell whether a complaint is about this place."""
        at = complaint.partition(":")[0]
        return fnmatchcase(operation, self.operations) and fnmatchcase(at, self.place)


_RECORDED = "recorded: chenhunghan/flare-operator, test/recordings/2026-09-29"
_D1_META = "documented: developers.cloudflare.com/d1/worker-api/return-object"
_R2_LOCATION = "in capital letters: terraform-provider-cloudflare #5819"
_AS_SENT = "only what was sent comes back: the Terraform provider takes any addition for a change"
_NO_MODEL = "the SDK declares `ResourcesBindings` as a class of its own that is no model"

ERRATA = (
    Erratum("d1.database.create", "result.created_in_region", _RECORDED),
    Erratum("d1.database.*", "result.running_in_region", _RECORDED),
    Erratum("d1.database.list", "result.*.num_tables", _RECORDED),
    Erratum("d1.database.list", "result.*.file_size", _RECORDED),
    Erratum("d1.database.query", "result.*.meta.served_by", _D1_META),
    Erratum("d1.database.query", "result.*.meta.total_attempts", _D1_META),
    Erratum("d1.database.raw", "result.*.meta.served_by", _D1_META),
    Erratum("d1.database.raw", "result.*.meta.total_attempts", _D1_META),
    Erratum("d1.database.import_", "result.result.meta.served_by", _D1_META),
    Erratum("d1.database.import_", "result.result.meta.total_attempts", _D1_META),
    Erratum(
        "d1.database.*", "result.errors", "wrangler reads it of a transfer that failed: wrangler/src/d1/execute.ts"
    ),
    Erratum("r2.buckets.*", "result.location", _R2_LOCATION),
    Erratum("r2.buckets.list", "result.buckets.*.location", _R2_LOCATION),
    Erratum("queues.consumers.*", "result.script", "the API says `script` (pulumi-cloudflare and Terraform read it)"),
    Erratum("queues.*", "result.consumers.*.script", "as of a consumer by itself"),
    Erratum("queues.list", "result.*.consumers.*.script", "as of a consumer by itself"),
    Erratum("workers.scripts.*", "result.deployment_id", _RECORDED + ", of an upload"),
    Erratum("workers.scripts.list", "result.*.deployment_id", "as of an upload"),
    Erratum("workers.scripts.deployments.list", "result.deployments", _RECORDED),
    Erratum("workers.scripts.tail.get", "result", _RECORDED + ": an array"),
    Erratum("workers.scripts.versions.list", "result.items.*.annotations", _RECORDED),
    Erratum("workers.scripts.versions.list", "result.items.*.metadata.has_preview", _RECORDED),
    Erratum("workers.scripts.versions.create", "result", _NO_MODEL),
    Erratum("workers.scripts.versions.get", "result", _NO_MODEL),
    Erratum(
        "workers.scripts.script_and_version_settings.*", "result.placement.*", _RECORDED + ": {} where none is set"
    ),
    Erratum("workers.scripts.*", "result.observability.*", _AS_SENT),
    Erratum("workers.scripts.list", "result.*.observability.*", _AS_SENT),
    Erratum(
        "workers.beta.workers.versions.create",
        "result.migrations.*",
        "the schema calls its fields write-only; the Terraform provider reads them (worker_version/model.go)",
    ),
    Erratum("workers.*", "result.bindings.*.props", "wrangler sends them: create-worker-upload-form.ts"),
    Erratum("workflows.instances.get", "result.output", "null until the instance has ended, and any JSON after that"),
    Erratum("workflows.instances.get", "result.steps", "left out where `simple` asks for it, as documented there"),
    Erratum("workflows.instances.get", "result.steps.*.end", "null of a step that waits for an event"),
)
