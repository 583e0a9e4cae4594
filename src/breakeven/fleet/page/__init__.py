"""Script and style of the leaderboard's page."""
