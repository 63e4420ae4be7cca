"""A Raspberry Pi that is a qemu machine: built, provisioned by the real playbook, and put through hardship."""
