"""How the page writes times, likelihoods and reasons."""

from datetime import UTC, datetime


def local_time(moment: str | float | None) -> str:
    """Return a time as the box's local time, given as it is stored (UTC, ISO 8601) or in seconds since 1970."""
    if not moment:
        return ""
    when = datetime.fromisoformat(moment) if isinstance(moment, str) else datetime.fromtimestamp(moment, UTC)
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def percent(share: float) -> str:
    """Return a likelihood for people: a digit more where it is small."""
    if share < 0.001:
        return "< 0.1 %"
    return f"{share:.1%}".replace("%", " %") if share < 0.1 else f"{share:.0%}".replace("%", " %")


def sentence(reason: str) -> str:
    """Return a reason as a sentence of its own."""
    return f"{reason[:1].upper()}{reason[1:].rstrip('.')}."


def duration(seconds: float) -> str:
    """Return a time span for people: "3 days 4 h", "4 h 12 min" or "12 min"."""
    minutes = int(seconds // 60)
    hours, days = minutes // 60, minutes // 1440
    if days:
        return f"{days} {'day' if days == 1 else 'days'} {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
