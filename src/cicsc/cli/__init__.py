"""The command line: parse the call, run one operation, print its report. No rule about histories lives here."""
