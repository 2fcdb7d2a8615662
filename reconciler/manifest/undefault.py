"""An entry that must mean what it says although defaults lie under it: what it leaves out is written out as nothing."""

from collections.abc import Mapping
from typing import Any, get_args

from reconciler.core.fleet import Fleet
from reconciler.core.section import Section
from reconciler.manifest.shape import Model, models_at


def undefaulted(content: Mapping[str, Any], defaults: Mapping[str, Any], fleet: type[Fleet]) -> dict[str, Any]:
    """`content` of a machine with nothing of the defaults showing through."""
    return _over(content, defaults, models_at(fleet, ("machines", 0))[0])


def _over(content: Mapping[str, Any], defaults: Mapping[str, Any], model: Model) -> dict[str, Any]:
    result = dict(content)
    for key, below in defaults.items():
        field = next((f for name, f in model.model_fields.items() if (f.alias or name) == key), None)
        if field is None:
            continue
        default = field.get_default(call_default_factory=True)
        if key not in content and not isinstance(default, Section | Mapping):
            result[key] = list(default) if isinstance(default, tuple) else default
        elif isinstance(below, dict):
            result[key] = _block(content.get(key, {}), below, models_at(model, (key,)), field.annotation)
    return result


def _block(content: Any, below: dict[str, Any], models: tuple[Model, ...], annotation: Any) -> Any:
    if not isinstance(content, Mapping):
        return content
    if models:
        return _over(content, below, models[0])
    values = next((get_args(each)[1] for each in (annotation, *get_args(annotation)) if len(get_args(each)) == 2), None)
    extra = below.keys() - content.keys()
    if extra and type(None) not in get_args(values):
        return None  # such keys cannot be taken away one by one
    inner = [each for each in get_args(values) if isinstance(each, type) and issubclass(each, Section)]
    kept = {key: _over(item, below[key], inner[0]) if inner and key in below else item for key, item in content.items()}
    return {**kept, **dict.fromkeys(sorted(extra))}
