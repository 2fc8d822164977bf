"""The errors of a malformed YAML text."""

from __future__ import annotations

import yaml

# Besides its own errors, PyYAML raises those of Python: for `2026-13-45`, `!!int x`, `!!bool x`, and for a thousand
# brackets. A text that is not UTF-8 is a ValueError, too.
NOT_YAML = (yaml.YAMLError, ValueError, AttributeError, KeyError, TypeError, RecursionError)
