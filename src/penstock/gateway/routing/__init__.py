"""Which target a call goes to, and what is known of each: strategies, health, breakers, gates; entered by `build`."""
