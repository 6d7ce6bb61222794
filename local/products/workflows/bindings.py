"""Bindings of Workflows."""

import sqlite3

from local.api.fields import Fields
from local.core.binding_checks import must_have
from local.core.product import BindingType, StoredBinding


def _workflow(_: sqlite3.Connection, part: Fields) -> StoredBinding:
    """Read a workflow binding. The workflow need not exist: it may be created after the deployment (recorded)."""
    workflow_name, class_name, script_name = (part.text(key) for key in ("workflow_name", "class_name", "script_name"))
    if not workflow_name:
        raise must_have(part, "a valid `workflow_name`")
    if class_name == "":
        raise must_have(part, "a valid `class_name`")
    optional = {"class_name": class_name, "script_name": script_name}
    return {"workflow_name": workflow_name} | {key: value for key, value in optional.items() if value is not None}


BINDINGS = {"workflow": BindingType(_workflow, fields=("workflow_name",))}
