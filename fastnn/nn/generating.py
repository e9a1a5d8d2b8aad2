"""Method of modules that writes tokens after a prompt. The package generation is imported at its first use."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any


class Generating:
    """Methods of `Module` that generate."""

    def generate(
        self,
        prompt: Any,
        max_new_tokens: int = 100,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float = 1.0,
        *,
        seed: int | Sequence[int] | None = None,
        stop: Any = None,
        stream: bool = False,
        num_beams: int = 1,
        length_penalty: float = 1.0,
        slide: bool = False,
        use_cache: bool = True,
        padding: int = -1,
    ) -> Any:
        """Write tokens after a prompt, each chosen by what the model computes for those before it.

        Models that can do it: `fastnn.models.GPT` and others with methods ``cache(batch)`` and ``step(ids, cache, lengths)``, and
        models of an embedding, recurrent layers and a head, whose output is logits or a softmax of them. They read each token
        once, and keep keys and values, or states. The step of a token is recorded and replayed.

        The names are those of `generate` in the package transformers, and so are the filters: repetition penalty, temperature,
        top_k, top_p, min_p, in this order. Unlike there, a stop is not part of the result.

        Args:
            prompt: a text, if the model has a ``tokenizer``; or token ids (n,); or a batch: a list of texts, a list of ids of
                different lengths, or an array (batch, n).
            max_new_tokens: the most tokens that are written.
            temperature: divisor of the logits; with 0, the most likely token is taken.
            top_k: choose among so many tokens, the most likely ones.
            top_p: choose among the most likely tokens that have this probability together.
            min_p: choose among tokens with at least this share of the probability of the most likely one.
            repetition_penalty: divisor of the positive logits of tokens that were there before, and factor of the others.
            seed: a number, or one for each prompt. By default, it is drawn from the stream of `fastnn.seed`. The random number of
                a token depends only on seed and position. A row of a batch has the tokens that it would have alone with its seed:
                with a number, the first row has that seed, and others have seeds of their own.
            stop: a token or a string that ends a text, or a list of them. Strings need a prompt of text.
            stream: whether an iterator is returned, which gives what is new token by token.
            num_beams: with more than 1, search for the text with the highest score, and follow so many of them for each prompt.
            length_penalty: the score of a text is the logarithm of its probability, divided by its number of new tokens to this
                power.
            slide: what happens when the context of the model is full: with False, prompts for which this could happen are an
                error; with True, the model goes on after reading the last half of the context again.
            use_cache: whether the model keeps what it has read. With False, it reads the whole text for each token, which works
                for every model that takes ids (batch, n) and returns logits, (batch, n, tokens) or (batch, tokens).
            padding: number that fills up the rows of a batch of ids.

        Returns:
            The prompt with what was written after it: a text, ids int64 (n,), a list of texts, or ids (batch, most). With stream,
            an iterator over what is new: strings, numbers, or a list or array of them with one for each row of a batch.

        Raises:
            TypeError: the model cannot generate, or an argument has the wrong type.
            ValueError: an argument is out of range; a prompt is empty, or too long for the context; logits are NaN.

        Sources: Holtzman et al., arXiv 1904.09751 (top_p); Nguyen et al., arXiv 2407.01082 (min_p); Keskar et al., arXiv
        1909.05858 (penalty); beam search as in Wu et al., arXiv 1609.08144, without a coverage penalty.

        >>> import fastnn
        >>> fastnn.seed(0)
        >>> model = fastnn.models.GPT(vocabulary=65, context=16, width=16, layers=2, heads=2)
        >>> model.generate([1, 2, 3], max_new_tokens=4, temperature=0).shape
        (7,)
        >>> model.generate([[1, 2, 3], [5]], max_new_tokens=4, seed=1).shape
        (2, 7)
        >>> sum(1 for token in model.generate([1, 2, 3], max_new_tokens=4, stream=True))
        4
        """
        write = import_module("fastnn.generation.generate").generate  # imported here to avoid a cycle of imports
        return write(
            self,
            prompt,
            max_new_tokens,
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
            seed=seed,
            stop=stop,
            stream=stream,
            num_beams=num_beams,
            length_penalty=length_penalty,
            slide=slide,
            use_cache=use_cache,
            padding=padding,
        )
