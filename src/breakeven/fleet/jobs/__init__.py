"""Jobs for any grid: rendered from one plan, submitted, watched, collected."""
