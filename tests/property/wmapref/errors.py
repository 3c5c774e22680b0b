"""The one exception of the evaluator: a kind, for tests, and a sentence, for people."""


class WmapError(Exception):
    """Kinds: syntax name type value overflow template index pattern unsolvable shape pairing op dtype unmapped
    missing conflict alias replica pad fill lossy inverse shard file import."""

    def __init__(self, kind, message):
        super().__init__(f"{kind}: {message}")
        self.kind = kind


def fail(kind, message):
    raise WmapError(kind, message)
