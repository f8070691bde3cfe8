"""Fine-tuning at a provider: OpenAI-shaped files and jobs, followed to their end."""
