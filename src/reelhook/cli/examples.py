"""Examples at the end of a command's help."""


def examples(*lines: str) -> str:
    """Return the text of these examples."""
    listed = "\n".join(f"  [cyan]{line}[/cyan]" for line in lines)
    return f"[bold]Examples[/bold]\n\n{listed}"
