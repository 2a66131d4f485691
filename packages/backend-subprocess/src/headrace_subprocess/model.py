"""A model in the child, as its user in the parent sees it."""

from __future__ import annotations

import os
from typing import Any

import attrs

from headrace.adapters import AdapterInfo
from headrace.common.work import Work
from headrace.errors import ParamsError
from headrace.model import Model
from headrace.params import SamplingParams, SessionParams
from headrace.params.speculation import DraftModel
from headrace.requests.chat import ChatRequest
from headrace.requests.vectors import EmbedRequest, RankRequest
from headrace.results import Capability
from headrace.results.machine import MemoryUsage, SystemInfo
from headrace.results.vectors import Embeddings, Ranking
from headrace.streams.parser import RenderedChat
from headrace_subprocess.client import Client
from headrace_subprocess.handles import RemoteAdapter, RemoteParser, rendered_chat
from headrace_subprocess.session import SubprocessSession
from headrace_subprocess.vectors import shaped


class SubprocessModel(Model):
    """A handle of what the child has loaded.

    Args:
        client: The connection to the child, which is ended when the model is closed.
        capabilities: What the model can do.
    """

    def __init__(self, client: Client, capabilities: frozenset[Capability]) -> None:
        super().__init__(client.info, capabilities)
        self.client = client

    def _open(self, params: SessionParams) -> SubprocessSession:
        if isinstance(params.speculate, DraftModel):
            raise ParamsError(
                "SessionParams.speculate must not be a DraftModel with isolation='process': the "
                "two models do not share a process",
                hint="Use PromptLookup, or load both models without isolation.",
                backend=self.info.backend,
            )
        return SubprocessSession(self, self.client, params)

    def _tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        tokens: list[int] = self._ask(
            "tokenize", text, add_special=add_special, parse_special=parse_special
        )
        return tokens

    def _detokenize(self, tokens: list[int], *, special: bool) -> bytes:
        data: bytes = self._ask("detokenize", tokens, special=special)
        return data

    def _render(self, request: ChatRequest) -> RenderedChat:
        number = self.client.next_number()
        told = self.client.call("render", number, request)
        return rendered_chat(told, RemoteParser(self.client, number))

    def _embed(self, request: EmbedRequest, work: Work) -> Embeddings:
        # Arrays are made in this process.
        sent = attrs.evolve(request, normalize=False, as_array=False)
        found = self.client.work(work, 0, sent, tuple)
        return shaped(found, normalize=request.normalize, arrays=request.as_array)

    def _rank(self, request: RankRequest, work: Work) -> Ranking:
        return self.client.work(work, 0, request, Ranking)

    def _recommended_sampling(self) -> SamplingParams:
        sampling: SamplingParams = self._ask("recommended_sampling")
        return sampling

    def _system_info(self) -> SystemInfo:
        info: SystemInfo = self._ask("system_info")
        return info

    def _memory_usage(self) -> MemoryUsage:
        usage: MemoryUsage = self._ask("memory_usage")
        return usage

    def _load_adapter(self, path: str) -> RemoteAdapter:
        return self._load_handle("load_adapter", path)

    def _load_control_vector(self, path: str) -> RemoteAdapter:
        return self._load_handle("load_control_vector", path)

    def _load_handle(self, method: str, path: str) -> RemoteAdapter:
        number = self.client.next_number()
        # The child stays in the folder that this process was in when it loaded the model.
        path = os.path.abspath(path) if os.path.exists(path) else path
        info = self.client.call("handle", number, method, path)
        if not isinstance(info, AdapterInfo):
            raise self.client.worker.nonsense(method, info)
        return RemoteAdapter(self.client.worker, number, info)

    def _ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self.client.call("model", method, list(arguments), options)

    def _close(self) -> None:
        """End the child: it gets a short while to close the model in order."""
        self.client.closed = True
        super()._close()
        self.client.worker.close()

    def _described(self) -> str:
        state = "closed" if self._closed else f"in process {self.client.worker.pid}"
        return f"{self.info.name!r}: {state}"
