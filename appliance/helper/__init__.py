"""The root helper: the few things that unprivileged programs of an appliance may have done for them, and no more."""
