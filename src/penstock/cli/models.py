"""`penstock models`: the registry's commands, and those that make variants of what is registered."""

from penstock.optimise import cli as optimising
from penstock.registry.cli import app as app

app.command("optimise")(optimising.optimise)
app.command("optimisations")(optimising.optimisations)
app.command("optimisation")(optimising.optimisation)
