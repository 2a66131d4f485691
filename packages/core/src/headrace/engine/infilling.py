"""A session that fills in the middle: what of it is in the history stays, the rest is run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headrace.engine.beginning import Beginning
from headrace.engine.chatting import ChattingSession
from headrace.engine.infill_layout import infill_tokens
from headrace.engine.sampling import check_sampling
from headrace.params import SamplingParams
from headrace.requests.checks import check_generation
from headrace.requests.infill import check_infill
from headrace.streams.tokens import TokenStream


class InfillingSession(ChattingSession):
    """The part of a session that fills in the middle."""

    def infill(
        self,
        prefix: str | Sequence[int],
        suffix: str | Sequence[int],
        *,
        extra: Iterable[tuple[str, str]] = (),
        order: str = "psm",
        project: str = "myproject",
        path: str = "filename",
        sampling: SamplingParams | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | str = (),
        ignore_eog: bool = False,
        timeout: float | None = None,
    ) -> TokenStream:
        """Write what stands between a prefix and a suffix.

        The history becomes prefix and suffix as the model sees them (the layout is that of
        llama-server): what it begins with already is kept, so that the next infill of an edited
        file runs what follows the edit. ``usage.prompt_tokens`` counts what was not kept.

        Args:
            prefix: Text or token ids before the place to fill; may be empty.
            suffix: What comes after it.
            extra: Names and texts of other files, for context; the last one stands nearest.
            order: ``psm``: prefix, suffix, middle; ``spm``: suffix, prefix, middle.
            project: Name of the project, for models with a token for it.
            path: Name of the file, for models with a token for it.
            sampling: How tokens are chosen.
            max_tokens: Most new tokens; None: until the model ends or the context
                is full; 0: only compute what the model sees, to have it in memory.
            stop: Strings that end the generation; they are not part of the text.
            ignore_eog: Never choose a token that ends the generation, unless a grammar allows
                nothing else.
            timeout: Seconds until the generation ends by itself; None: never.

        Returns:
            A stream; nothing is computed before it is read.

        Raises:
            ParamsError: For an argument outside its range.
            TokenizeError: For a text that has no tokens in this vocabulary.
            UnsupportedError: If the model was not trained for it.
            ContextFullError: If it does not fit; the history is as before.
            BusyError: If another generation is under way.
            ClosedError: If the session or its model was closed.
        """
        self._check_process()
        stops = check_generation(sampling, max_tokens, stop, ignore_eog, timeout)
        sampling = sampling or SamplingParams()
        info = self._model.info
        check_sampling(sampling, info, self._model.capabilities)
        request = check_infill(prefix, suffix, extra, order, project, path, info.n_vocab)
        tokens = infill_tokens(self._model, request)
        with Beginning(self._sequence) as beginning:
            generation, _ = self._engine.begin_anew(
                self._sequence,
                tokens,
                what="file",
                remedy="Shorten prefix, suffix or extra",
                sampling=sampling,
                max_tokens=max_tokens,
                ignore_eog=ignore_eog,
                beginning=beginning,
            )
            return self._stream(generation, stops, timeout)
