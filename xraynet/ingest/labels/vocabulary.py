"""Which words of the sources mean a nodule and which a mass: the one place where synonyms are listed.

Sources keep their own class names in the catalogue ("Nodule/Mass", "Lung tumor"); what counts as target is decided when
films are asked for, by default nodule and mass together. The Fleischner glossary (Hansell, Radiology 2008) parts them at
30 mm, and several sources do not part them at all.
"""

from collections.abc import Iterable
from typing import Final

DEFAULT_TARGETS: Final = ("nodule", "mass")
"""What counts as target unless ``--classes`` says otherwise."""

_SYNONYMS: Final[dict[str, frozenset[str]]] = {
    "nodule": frozenset({"nodule"}),
    "nodules": frozenset({"nodule"}),
    "lung nodule": frozenset({"nodule"}),
    "pulmonary nodule": frozenset({"nodule"}),
    "solitary pulmonary nodule": frozenset({"nodule"}),
    "multiple nodules": frozenset({"nodule"}),
    # A field of uncountable small nodules: no nodule to box, yet never a film free of them. Its second meaning is itself,
    # so that a film that shows it is unknown.
    "diffuse nodule": frozenset({"nodule", "diffuse nodule"}),
    "miliary": frozenset({"nodule", "miliary"}),
    "mass": frozenset({"mass"}),
    "masses": frozenset({"mass"}),
    "mass lesion": frozenset({"mass"}),
    "lung mass": frozenset({"mass"}),
    "pulmonary mass": frozenset({"mass"}),
    "nodule/mass": frozenset({"nodule", "mass"}),
    "nodule or mass": frozenset({"nodule", "mass"}),
    "nodule mass": frozenset({"nodule", "mass"}),
    "mass/nodule": frozenset({"nodule", "mass"}),
    # Words that say "there is a focal lesion" without saying how large: either, or both.
    "lung lesion": frozenset({"nodule", "mass"}),
    "lung tumor": frozenset({"nodule", "mass"}),
    "lung tumour": frozenset({"nodule", "mass"}),
}

_NOTHING_FOUND: Final = frozenset({"no finding", "no findings", "normal", "non-nodule"})


def normalise_class_name(class_name: str) -> str:
    """A class name in lower case, underscores as blanks, blanks single.

    >>> normalise_class_name("Lung_Nodule ")
    'lung nodule'
    """
    words = class_name.replace("_", " ").lower().split()
    return " ".join(words).replace(" / ", "/")


def meanings_of(class_name: str) -> frozenset[str]:
    """What a source's class name may mean: ``nodule``, ``mass``, either, or (for other findings) itself.

    >>> sorted(meanings_of("Nodule/Mass")), sorted(meanings_of("Effusion"))
    (['mass', 'nodule'], ['effusion'])
    """
    name = normalise_class_name(class_name)
    return _SYNONYMS.get(name, frozenset({name}))


def says_nothing_found(class_name: str) -> bool:
    """True for the words by which sources say that a reader found nothing.

    >>> says_nothing_found("No Finding"), says_nothing_found("Nodule")
    (True, False)
    """
    return normalise_class_name(class_name) in _NOTHING_FOUND


def normalise_targets(classes: Iterable[str]) -> tuple[str, ...]:
    """The target classes that a person asked for, in the words of this vocabulary, each once.

    Raises ValueError where none is left.

    >>> normalise_targets(["Nodule/Mass"]), normalise_targets(["Masses"])
    (('nodule', 'mass'), ('mass',))
    """
    meant = {meaning for name in classes if name.strip() for meaning in meanings_of(name)}
    if not meant:
        raise ValueError("no target class was named; expected at least one, such as nodule,mass")
    ordered = [name for name in DEFAULT_TARGETS if name in meant]
    return tuple(ordered + sorted(meant - set(DEFAULT_TARGETS)))


def is_target(class_name: str, *, targets: Iterable[str]) -> bool:
    """True where the class can only mean a target ("Nodule/Mass" among nodules alone is not certain)."""
    return meanings_of(class_name) <= set(targets)


def may_be_target(class_name: str, *, targets: Iterable[str]) -> bool:
    """True where the class means a target or may mean one."""
    return bool(meanings_of(class_name) & set(targets))
