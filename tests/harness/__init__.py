"""What the tests of the real binary share. Standard library only.

service.py   starts, kills and restarts `cbr serve` in a folder of its own
api.py       the few requests the tests need, with a token
disks.py     disk images with known content
postgres.py  a PostgreSQL cluster of its own
world.py     service, vault and disk put together, and the promises checked on them
"""
