"""Services and servers that speak OpenAI's API, each a kind of its own: address, variable of the key, and quirks.

Each class names the page that shows what it says. What a page does not show is not here.
"""

from typing import ClassVar

from penstock.gateway.dialects.quirks import Quirks
from penstock.gateway.providers.openai import OpenAIProvider

_REASONING = Quirks(reasoning="reasoning")


class Cerebras(OpenAIProvider):
    """https://inference-docs.cerebras.ai/resources/openai and …/capabilities/reasoning."""

    BASE_URL = "https://api.cerebras.ai/v1"
    KEY_ENV = "CEREBRAS_API_KEY"
    QUIRKS: ClassVar[Quirks | None] = Quirks(
        reasoning="reasoning",
        developer_as_system=True,
        unsupported=frozenset(
            {"frequency_penalty", "logit_bias", "presence_penalty", "parallel_tool_calls", "service_tier"}
        ),
    )


class DeepInfra(OpenAIProvider):
    """https://deepinfra.com/docs/openai_api."""

    BASE_URL = "https://api.deepinfra.com/v1/openai"
    KEY_ENV = "DEEPINFRA_API_KEY"


class DeepSeek(OpenAIProvider):
    """https://api-docs.deepseek.com/api/create-chat-completion: roles are system, user, assistant and tool."""

    BASE_URL = "https://api.deepseek.com/v1"
    KEY_ENV = "DEEPSEEK_API_KEY"
    QUIRKS: ClassVar[Quirks | None] = Quirks(
        developer_as_system=True, rename={"max_completion_tokens": "max_tokens"}
    )
    TAKES: ClassVar[frozenset[str]] = frozenset({"reasoning_content", "thinking"})
    """Thoughts before a tool call must come back: https://api-docs.deepseek.com/guides/thinking_mode."""


class Fireworks(OpenAIProvider):
    """https://docs.fireworks.ai/tools-sdks/openai-compatibility."""

    BASE_URL = "https://api.fireworks.ai/inference/v1"
    KEY_ENV = "FIREWORKS_API_KEY"


class Groq(OpenAIProvider):
    """https://console.groq.com/docs/openai; `reasoning` by https://github.com/groq/groq-python/pull/185."""

    BASE_URL = "https://api.groq.com/openai/v1"
    KEY_ENV = "GROQ_API_KEY"
    COMPLETIONS = False
    QUIRKS: ClassVar[Quirks | None] = Quirks(
        reasoning="reasoning", unsupported=frozenset({"logprobs", "logit_bias", "top_logprobs"})
    )


class HuggingFace(OpenAIProvider):
    """https://huggingface.co/docs/inference-providers."""

    BASE_URL = "https://router.huggingface.co/v1"
    KEY_ENV = "HF_TOKEN"


class LlamaCpp(OpenAIProvider):
    """https://github.com/ggml-org/llama.cpp/tree/master/tools/server."""

    BASE_URL = "http://127.0.0.1:8080/v1"


class LMStudio(OpenAIProvider):
    """https://lmstudio.ai/docs/api/endpoints/openai."""

    BASE_URL = "http://127.0.0.1:1234/v1"


class Mistral(OpenAIProvider):
    """https://docs.mistral.ai/api: `random_seed`, no `max_completion_tokens`, counts in every stream's last chunk.

    What it refuses: https://github.com/editor-code-assistant/eca/issues/231 and
    https://github.com/posit-dev/chatlas/pull/145.
    """

    BASE_URL = "https://api.mistral.ai/v1"
    KEY_ENV = "MISTRAL_API_KEY"
    COMPLETIONS = False
    QUIRKS: ClassVar[Quirks | None] = Quirks(
        rename={"max_completion_tokens": "max_tokens", "seed": "random_seed"},
        ignored=frozenset({"stream_options", "user", "store"}),
    )


class Nvidia(OpenAIProvider):
    """https://docs.api.nvidia.com/nim/reference/llm-apis."""

    BASE_URL = "https://integrate.api.nvidia.com/v1"
    KEY_ENV = "NVIDIA_API_KEY"


class Ollama(OpenAIProvider):
    """https://docs.ollama.com/api/openai-compatibility; `reasoning` by its openai/openai.go."""

    BASE_URL = "http://127.0.0.1:11434/v1"
    QUIRKS: ClassVar[Quirks | None] = _REASONING


class OpenRouter(OpenAIProvider):
    """https://openrouter.ai/docs/use-cases/reasoning-tokens."""

    BASE_URL = "https://openrouter.ai/api/v1"
    KEY_ENV = "OPENROUTER_API_KEY"
    QUIRKS: ClassVar[Quirks | None] = _REASONING
    TAKES: ClassVar[frozenset[str]] = frozenset({"cache_control"})
    """https://openrouter.ai/docs/features/prompt-caching."""


class Perplexity(OpenAIProvider):
    """https://docs.perplexity.ai/guides/chat-completions-guide."""

    BASE_URL = "https://api.perplexity.ai"
    KEY_ENV = "PERPLEXITY_API_KEY"
    COMPLETIONS = False


class SambaNova(OpenAIProvider):
    """https://docs.sambanova.ai."""

    BASE_URL = "https://api.sambanova.ai/v1"
    KEY_ENV = "SAMBANOVA_API_KEY"


class SGLang(OpenAIProvider):
    """https://docs.sglang.io/docs/basic_usage/openai_api_completions and https://qwen.readthedocs.io (its port)."""

    BASE_URL = "http://127.0.0.1:30000/v1"


class Together(OpenAIProvider):
    """https://docs.together.ai/docs/openai-api-compatibility."""

    BASE_URL = "https://api.together.xyz/v1"
    KEY_ENV = "TOGETHER_API_KEY"


class VLLM(OpenAIProvider):
    """https://docs.vllm.ai/en/latest/features/reasoning_outputs: `reasoning` used to be `reasoning_content`."""

    BASE_URL = "http://127.0.0.1:8000/v1"
    QUIRKS: ClassVar[Quirks | None] = _REASONING


class XAI(OpenAIProvider):
    """https://docs.x.ai/docs/api-reference."""

    BASE_URL = "https://api.x.ai/v1"
    KEY_ENV = "XAI_API_KEY"
