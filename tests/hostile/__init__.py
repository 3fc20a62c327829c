"""What a stranger may send to the gateway, as data; `test_hostile` sends it."""
