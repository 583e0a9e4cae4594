"""Result files of other tools: read as runs, and runs written as theirs."""
