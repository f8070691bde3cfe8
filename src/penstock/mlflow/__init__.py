"""MLflow's REST API over Penstock's slices, so that its clients work unchanged.

Facts of MLflow that other slices have no place for (tags of prompts and models, trace information, assessments in
full) are kept here; everything else is theirs.
"""
