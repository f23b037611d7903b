"""Tables as Delta folders on a disk or in an object store."""
