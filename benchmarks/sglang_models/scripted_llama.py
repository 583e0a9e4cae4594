"""A Llama for SGLang without weights: its logits make its sampler say the script, whatever was asked."""

import time
from typing import Any

import torch
from face_script import STEP_S, TEXT, Script
from sglang.srt.layers.logits_processor import LogitsProcessorOutput
from transformers import AutoTokenizer

SURE, NEXT_BEST, NEVER = 0.0, -100.0, -1000.0
"""Logits: the script's token; its first word, for a step in which SGLang forbids the end; all others."""


class LlamaForCausalLM(torch.nn.Module):
    """Stands in place of SGLang's own Llama; how far each answer is follows from its place among the requests."""

    def __init__(self, config: Any, quant_config: object = None, prefix: str = "") -> None:
        super().__init__()
        del quant_config, prefix
        self.config = config
        self.one = torch.nn.Parameter(torch.zeros(1), requires_grad=False)
        tokenizer = AutoTokenizer.from_pretrained(config.name_or_path)
        self.script = Script(tokenizer.encode(TEXT, add_special_tokens=False), tokenizer.eos_token_id)
        self.said: dict[int, int] = {}

    def forward(self, input_ids: torch.Tensor, positions: torch.Tensor, forward_batch: Any) -> LogitsProcessorOutput:
        """One step: a prompt begins an answer, and every other request gets its next token."""
        del input_ids, positions
        time.sleep(STEP_S)
        places = forward_batch.req_pool_indices.tolist()
        begins = forward_batch.forward_mode.is_extend()
        logits = torch.full((len(places), self.config.vocab_size), NEVER)
        for row, place in enumerate(places):
            at = self.said[place] = 0 if begins else self.said[place] + 1
            logits[row, self.script.token(at, may_end=False)] = NEXT_BEST
            logits[row, self.script.token(at)] = SURE
        return LogitsProcessorOutput(next_token_logits=logits)

    def load_weights(self, weights: object) -> None:
        """It has none."""


EntryClass = LlamaForCausalLM
