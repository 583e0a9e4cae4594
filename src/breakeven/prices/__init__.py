"""What a GPU-hour costs: quotes with source and date."""
