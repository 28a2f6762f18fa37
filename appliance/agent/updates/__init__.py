"""How this machine gets another system, starts it, and goes back to the one before when it is bad."""
