"""The binding through which a Worker reads its own assets."""

from local.core.binding_checks import nothing_more
from local.core.product import BindingType

BINDINGS = {"assets": BindingType(nothing_more)}
