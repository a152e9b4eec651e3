"""The features that come with the package: every folder below ``reconciler/plugins/``.

A folder is found, not listed, so that a feature arrives without a line elsewhere.
"""

from __future__ import annotations

import importlib
import pkgutil

from reconciler import plugins
from reconciler.feature import Feature, Registry


def shipped_features() -> Registry:
    """Return the registry of the features that come with the package."""
    names = sorted(module.name for module in pkgutil.iter_modules(plugins.__path__))
    return Registry(tuple(feature_of(f"{plugins.__name__}.{name}") for name in names))


def feature_of(package: str) -> Feature:
    """Import a feature's folder and return its record."""
    found = importlib.import_module(package).FEATURE
    assert isinstance(found, Feature), f"{package}.FEATURE is no Feature"
    return found
