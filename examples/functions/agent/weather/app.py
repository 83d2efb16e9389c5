"""A function that an agent uses as a tool: the arguments of the call are the event."""

SKIES = ("clear", "cloudy", "rainy", "stormy")


def handler(event, context):
    city = event["city"]
    if city == "Atlantis":
        raise LookupError("there is no weather under water")
    day = event.get("days_ahead", 0)
    # Not a forecast: the same city has the same weather every time.
    seed = sum(map(ord, city)) + day
    print(f"{city}, {day} days ahead")
    return {"city": city, "sky": SKIES[seed % 4], "celsius": seed % 30}
