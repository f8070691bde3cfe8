"""Files and batches of OpenAI's API: many calls handed in as one file, worked off in the background."""
