"""Names of the 1,000 classes of ImageNet (ILSVRC 2012), in the order in which networks give them."""

from importlib.resources import files


def imagenet_names() -> tuple[str, ...]:
    """Return the names: of each class the first lemma of its synset in WordNet 3.0 (Princeton University).

    >>> imagenet_names()[967], len(imagenet_names())
    ('espresso', 1000)
    """
    text = files("headstart.backbones").joinpath("imagenet.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
