"""Stored responses of OpenAI's Responses API: kept here, whoever the provider is."""
