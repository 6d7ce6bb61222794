"""Reads the settings of the component's Cloudflare provider, for the component's own calls of the API."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_cloudflare as cloudflare
from pulumi.runtime import rpc

from .cloudflare_api import PROVIDER_SETTINGS
from .own_resource import is_hosted

_A_TYPE = "cloudflare:index/worker:Worker"
"""Any resource type of the provider will do: the code only asks which provider serves it."""


def default_base_url() -> str | None:
    """Return the API address of the default provider, from the stack's config or the environment."""
    key, variable = PROVIDER_SETTINGS["base_url"]
    return pulumi.Config("cloudflare").get(key) or os.environ.get(variable)


def provider_settings(component: pulumi.ComponentResource) -> Mapping[str, pulumi.Input[str | None]] | None:
    """Return the settings of the provider that a component was given, by the names of ``PROVIDER_SETTINGS``.

    Returns:
        None when the component was given no provider. It uses the default provider then, and a dynamic resource finds
        that provider's settings by itself. The component's plugin cannot: Pulumi sends it the stack's config only while
        it constructs a component.
    """
    provider = component.get_provider(_A_TYPE)
    if provider is None:
        return _default_settings() if is_hosted() else None
    if isinstance(provider, cloudflare.Provider):
        return {name: getattr(provider, name) for name in PROVIDER_SETTINGS}
    return _looked_up(provider)


def _default_settings() -> Mapping[str, pulumi.Input[str | None]]:
    config = pulumi.Config("cloudflare")
    return {name: config.get(key) for name, (key, _) in PROVIDER_SETTINGS.items()}


def _looked_up(provider: pulumi.ProviderResource) -> Mapping[str, pulumi.Input[str | None]]:
    """Read the settings of a provider that a program in another language created, from the running deployment.

    Pulumi's `getResource` knows every resource of the deployment. The SDKs resolve resource references with it.
    """
    found = provider.urn.apply(lambda urn: pulumi.runtime.invoke_async("pulumi:pulumi:getResource", {"urn": urn}))
    state = found.apply(lambda result: result["state"])
    keys = {name: key for name, (key, _) in PROVIDER_SETTINGS.items()}
    return {name: _setting(state, key) for name, key in keys.items()}


def _setting(state: pulumi.Output[Any], key: str) -> pulumi.Output[str | None]:
    return pulumi.Output.secret(state.apply(lambda known: rpc.unwrap_rpc_secret(known.get(key))))
