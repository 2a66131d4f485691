"""What goes over the wire, as msgspec structs: requests are read into them, answers written."""
