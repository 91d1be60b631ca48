"""Model versions that run elsewhere: an OpenAI-compatible endpoint embeds the texts."""
