"""What goes wrong with the sandbox itself."""


class SandboxError(Exception):
    """The sandbox cannot do it. `hint` is what to do next, possibly empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
