"""Who belongs to the fleet: the CA, enrolment tokens, claim codes, certificates, the command key."""
