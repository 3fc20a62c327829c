"""`python -m sms_gateway` is the `sendsmsnow` command."""

from .cli import main

if __name__ == "__main__":
    main()
