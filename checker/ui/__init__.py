"""The user interface: command line, panel, picture, reports. Nothing outside this room renders."""
