"""The charting library, as its authors built it: Observable Plot on D3, both under the ISC licence."""
