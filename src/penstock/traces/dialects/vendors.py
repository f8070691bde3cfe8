"""The many names under which instrumentations know the same provider, and the one we keep."""

import re
from functools import lru_cache

_NAMES: dict[str, tuple[str, ...]] = {
    "openai": ("openai", "openai_chat", "chatopenai", "openai_responses"),
    "azure": (
        "azure",
        "azure_openai",
        "azureopenai",
        "az_ai_openai",
        "azure_ai_openai",
        "az_ai_inference",
        "azure_ai_inference",
        "azure_ai_foundry",
    ),
    "anthropic": ("anthropic", "chatanthropic", "claude"),
    "bedrock": (
        "bedrock",
        "aws",
        "aws_bedrock",
        "amazon_bedrock",
        "bedrock_converse",
        "amazon",
        "chatbedrock",
    ),
    "gemini": (
        "gemini",
        "google",
        "gcp_gemini",
        "google_genai",
        "google_generativeai",
        "google_generative_ai",
        "gcp_gen_ai",
        "google_gla",
    ),
    "vertex": ("vertex", "vertexai", "vertex_ai", "gcp_vertex_ai", "google_vertexai", "google_vertex"),
    "mistral": ("mistral", "mistralai", "mistral_ai"),
    "cohere": ("cohere",),
    "deepseek": ("deepseek",),
    "groq": ("groq",),
    "xai": ("xai", "x_ai"),
    "perplexity": ("perplexity",),
    "together": ("together", "togetherai", "together_ai"),
    "fireworks": ("fireworks", "fireworks_ai"),
    "openrouter": ("openrouter",),
    "ollama": ("ollama", "chatollama"),
    "huggingface": ("huggingface", "hugging_face", "hf"),
    "watsonx": ("watsonx", "ibm_watsonx_ai", "ibm_watsonx", "ibm"),
}
_BY_ALIAS = {alias: name for name, aliases in _NAMES.items() for alias in aliases}
_SEPARATORS = re.compile(r"[\s.\-/]+")


@lru_cache(maxsize=4096)
def normalised(value: str) -> str:
    """Return the one name of a provider (`gcp.gemini`, `google_genai` → `gemini`); an unknown one as it was sent.

    The Vercel AI SDK adds the API (`openai.responses`, `anthropic.messages`): its first words decide then.
    """
    words = _SEPARATORS.sub("_", value.strip().lower())
    while words:
        found = _BY_ALIAS.get(words)
        if found is not None:
            return found
        words = words.rpartition("_")[0]
    return value
