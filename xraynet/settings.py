"""Reads and writes configuration: text that cannot execute, structured into the owners' frozen dataclasses.

A default exists once, in the dataclass beside its owner. A key that nobody owns is an error that names the near ones.
An absent key takes the dataclass's default, or the value of the configuration named by ``base``.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Final, TypeVar, get_type_hints

import cattrs
import tomli_w

from xraynet.errors import ConfigError

Config = TypeVar("Config")

_BASE: Final = "base"


def structure_config(values: Mapping[str, object], config_type: type[Config], *, where: str) -> Config:
    """A dataclass of ``config_type`` from nested tables; ``where`` names the file in errors.

    Raises ConfigError for an unknown key, a missing one, or a value that the dataclass refuses.
    """
    _check_keys(values, config_type, where=where, prefix="")
    converter = exact_converter(forbid_extra_keys=True)
    try:
        return converter.structure(values, config_type)
    except cattrs.BaseValidationError as error:
        raise ConfigError(f"{where}: " + "; ".join(cattrs.transform_error(error, format_exception=_say_what))) from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _say_what(error: BaseException, _: type | None) -> str:
    return str(error)


def exact_converter(*, forbid_extra_keys: bool) -> cattrs.Converter:
    """A converter that takes no scalar for another: "3" is no number, 1 is no truth value; a whole number is a float."""
    converter = cattrs.Converter(forbid_extra_keys=forbid_extra_keys, prefer_attrib_converters=True)
    for scalar in (int, float, str, bool):
        converter.register_structure_hook(scalar, _structure_scalar)
    return converter


def _structure_scalar(value: object, expected: type) -> object:
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not expected:
        raise TypeError(f"{value!r} is not {expected.__name__}")
    return value


def _check_keys(values: Mapping[str, object], config_type: object, *, where: str, prefix: str) -> None:
    if not (isinstance(config_type, type) and is_dataclass(config_type)):
        return
    hints = get_type_hints(config_type)
    known = {item.name for item in fields(config_type)}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
            meant = f"did you mean {', '.join(near)}?" if near else f"known keys: {', '.join(sorted(known))}"
            raise ConfigError(f"{where}: unknown key '{prefix}{key}'; {meant}")
        if isinstance(value, Mapping):
            _check_keys(value, hints[key], where=where, prefix=f"{prefix}{key}.")
    for item in fields(config_type):
        if item.name not in values and item.default is MISSING and item.default_factory is MISSING:
            raise ConfigError(f"{where}: key '{prefix}{item.name}' is missing and has no default")


def read_config(path_or_preset: str | Path, config_type: type[Config]) -> Config:
    """The configuration in a TOML file, or in the preset of that name (``xraynet/presets/NAME.toml``).

    A configuration that says ``base = "NAME"`` before its tables changes only what it names of that one: a preset, or, of a
    file, another file beside it. Tables are joined key by key; a list takes the place of a list. What a base gives a value
    cannot be made absent again.
    """
    values, where = _read_values(path_or_preset)
    return structure_config(values, config_type, where=where)


def _read_values(path_or_preset: str | Path) -> tuple[dict[str, object], str]:
    """The tables of a configuration with those of its bases, and what to call it in errors."""
    chain = [_find(path_or_preset)]
    values: dict[str, object] = {}
    while True:
        where = " -> ".join(place.name for place in chain)
        try:
            own: dict[str, object] = tomllib.loads(chain[-1].text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{where}: not TOML: {error}") from error
        base = own.pop(_BASE, None)
        values = _join(own, values)
        if base is None:
            return values, where
        below = _find_base(base, chain[-1].folder, where=where)
        if below in chain:
            raise ConfigError(f"{where} -> {below.name}: a configuration cannot be its own base")
        chain.append(below)


def _join(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """Tables of ``below`` with what ``above`` says otherwise."""
    joined = dict(below)
    for key, value in above.items():
        under = joined.get(key)
        joined[key] = _join(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return joined


def list_presets() -> list[str]:
    """The names of the presets that xraynet ships."""
    folder = resources.files("xraynet") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


@dataclass(frozen=True)
class _Place:
    """A configuration's text, what to call it, and the folder that it is in; None for a preset."""

    name: str = field(compare=False)
    text: str
    folder: Path | None


def _find(path_or_preset: str | Path) -> _Place:
    path = Path(path_or_preset)
    if path.is_file():
        return _Place(str(path), path.read_text(encoding="utf-8"), path.resolve().parent)
    name = str(path_or_preset)
    if name in list_presets():
        return _find_preset(name)
    raise ConfigError(f"no configuration '{name}': neither a file nor a preset ({', '.join(list_presets()) or 'none shipped'})")


def _find_base(name: object, folder: Path | None, *, where: str) -> _Place:
    """The base ``name`` of a configuration in ``folder``; a preset's base is a preset."""
    if not isinstance(name, str):
        raise ConfigError(f"{where}: {_BASE} is {name!r}; the name of a preset, or of a file beside this one, was expected")
    if folder is not None and (folder / name).is_file():
        return _find(folder / name)
    if name in list_presets():
        return _find_preset(name)
    raise ConfigError(f"{where}: {_BASE} '{name}' is neither a file beside it nor a preset ({', '.join(list_presets())})")


def _find_preset(name: str) -> _Place:
    text = (resources.files("xraynet") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return _Place(f"preset {name}", text, None)


def config_to_dict(config: object) -> dict[str, object]:
    """A config dataclass as plain tables for TOML or JSON; None is left out (an absent key is None)."""
    if not is_dataclass(config) or isinstance(config, type):
        raise ValueError(f"{config!r} is not a config dataclass instance")
    return _drop_none(asdict(config))


def _drop_none(values: Mapping[str, object]) -> dict[str, object]:
    kept: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            kept[key] = _drop_none(value)
        elif isinstance(value, tuple):
            kept[key] = list(value)
        elif value is not None:
            kept[key] = value
    return kept


def write_config(config: object, path: Path) -> None:
    """The whole configuration as TOML, exactly as ``read_config`` takes it back."""
    path.write_text(tomli_w.dumps(config_to_dict(config)), encoding="utf-8")
