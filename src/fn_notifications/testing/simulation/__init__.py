"""The whole application in one process and in virtual time; one seed decides everything that could go otherwise."""
