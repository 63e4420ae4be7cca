"""What leaves the machine: counted by the guest's own nftables, in a table that the box's firewall knows nothing of."""

import json

from virtual_pi.machine import Machine

TABLE = "virtual_pi"
# Answers to whoever asked, the name service of the LAN, DHCP and the time server: what the inventory configures.
RULES = """
table inet virtual_pi {
    chain output {
        type filter hook output priority 300; policy accept;
        oifname "lo" accept
        ct direction reply counter accept comment "answers"
        udp dport 5353 counter accept comment "mdns"
        udp dport { 67, 547 } counter accept comment "dhcp"
        ip daddr 10.0.2.2 udp dport 123 counter accept comment "time"
        icmpv6 type { nd-router-solicit, nd-neighbor-solicit } counter accept comment "neighbours"
        icmpv6 type { nd-neighbor-advert, mld2-listener-report } counter accept comment "neighbours too"
        meta l4proto igmp counter accept comment "multicast groups"
        counter log prefix "stray packet: " comment "stray"
    }
}
"""
UNIT = f"""
[Unit]
Description=Count the packets that leave
DefaultDependencies=no
After=nftables.service local-fs.target
Before=network-pre.target
Wants=network-pre.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f /etc/{TABLE}.nft
[Install]
WantedBy=multi-user.target
"""


def count_from_now_on(machine: Machine) -> None:
    """Count what leaves, from the next start of the machine on."""
    machine.put(RULES.encode(), f"/etc/{TABLE}.nft")
    machine.put(UNIT.encode(), f"/etc/systemd/system/{TABLE}.service")
    machine.root(f"systemctl enable {TABLE}")


def counted(machine: Machine) -> dict[str, int]:
    """Return how many packets left, by what they were for."""
    listed = json.loads(machine.root(f"nft -j list table inet {TABLE}"))["nftables"]
    rules = [entry["rule"] for entry in listed if "comment" in entry.get("rule", {})]
    return {rule["comment"]: _packets(rule) for rule in rules}


def _packets(rule: dict) -> int:
    return next(part["counter"]["packets"] for part in rule["expr"] if "counter" in part)


def assert_none_stray(machine: Machine) -> dict[str, int]:
    """Assert that nothing left but what the inventory configures; return the counts."""
    counts = counted(machine)
    assert not counts["stray"], f"{counts['stray']} packets left: {_strays(machine)}"
    return counts


def _strays(machine: Machine) -> str:
    lines = machine.root("dmesg | grep 'stray packet' | head -3").splitlines()
    return "; ".join(line.partition("stray packet: ")[2] for line in lines)
