"""How much and when: levels of users, the stop rule, settling."""
