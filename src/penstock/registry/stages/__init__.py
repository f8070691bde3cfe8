"""How far versions have come: stages, the rules of moving, and who approved."""
