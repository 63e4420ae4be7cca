"""The example inventory is the documentation: it names every variable of every role, with the default that it has."""

import re
import subprocess
from itertools import pairwise

import pytest
import yaml
from cxrbox.settings import read_config

ROLES = ("base", "coral", "camera", "appliance", "web", "hardening", "backup")
PLAYS = ("site", "flash", "status", "backup", "restore", "update", "diagnose")
KINDS = {"bool": bool, "int": int, "str": str, "list": list, "dict": dict}
UNDEFINED_ON_PURPOSE = {
    # Named by the Makefile, one play each.
    "cxrbox_model",
    "cxrbox_backup",
    "cxrbox_identity",
    "cxrbox_restore_to",
    "cxrbox_at_once",
    "cxrbox_may_fail",
    "cxrbox_ssh",
}


@pytest.fixture
def example(plays):
    return yaml.safe_load((plays / "inventory/example/group_vars/boxes.yml").read_text())


def defaults_of(plays, role) -> dict:
    return yaml.safe_load((plays / "roles" / role / "defaults" / "main.yml").read_text())


def options_of(plays, role) -> dict:
    specs = yaml.safe_load((plays / "roles" / role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    return specs["main"]["options"]


def test_the_example_shows_the_defaults_of_all_roles(plays, example):
    defaults = {}
    for role in ROLES:
        for name, value in defaults_of(plays, role).items():
            assert defaults.setdefault(name, value) == value
    assert example == defaults


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_of_a_role_is_specified_and_described(plays, role):
    defaults, options = defaults_of(plays, role), options_of(plays, role)
    assert options.keys() == defaults.keys()
    for name, option in options.items():
        assert option["default"] == defaults[name]
        assert isinstance(defaults[name], KINDS[option["type"]])
        assert option["description"].endswith(".")


def test_every_variable_of_the_example_is_commented(plays):
    lines = (plays / "inventory/example/group_vars/boxes.yml").read_text().splitlines()
    for before, line in pairwise(lines):
        if line.startswith("cxrbox_"):
            assert before.startswith("# "), line


def test_no_play_uses_a_variable_that_nobody_defines(plays, example):
    files = [
        path for path in plays.rglob("*") if path.suffix in (".yml", ".toml", ".conf") and "inventory" not in str(path)
    ]
    used = {name for path in files for name in re.findall(r"\bcxrbox_[a-z0-9_]+", path.read_text())}
    assert used - example.keys() == UNDEFINED_ON_PURPOSE


@pytest.mark.parametrize("name", PLAYS)
def test_a_play_can_be_read(play, name):
    done = play(f"{name}.yml", "--syntax-check")
    assert done.returncode == 0, done.stderr


def test_the_settings_that_the_example_gives_are_taken(play, tmp_path):
    box_toml = render(play, tmp_path, "roles/appliance", "box.toml", cxrbox_settings={"retention_days": 90})
    settings = read_config(box_toml)
    assert settings["retention_days"] == 90
    assert str(settings["state"]) == "/var/lib/cxrbox/state"


@pytest.mark.parametrize(
    "ways", [[], [{"protocol": "tcp", "port": 443, "to": "192.0.2.0/24"}, {"protocol": "udp", "port": 53}]]
)
def test_nft_takes_the_firewall(play, tmp_path, ways):
    firewall = render(play, tmp_path, "roles/hardening", "nftables.conf", cxrbox_allow_outgoing=ways)
    text = firewall.read_text()
    assert text.count("outgoing_configured accept") == len(ways)
    assert text.count("policy drop") == 3
    try:
        checked = subprocess.run(["nft", "-c", "-f", firewall], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("nft is not installed")
    if "Operation not permitted" in checked.stderr:
        pytest.skip("nft may not ask the kernel here")
    assert checked.returncode == 0, checked.stderr


def render(play, tmp_path, role, template, **variables):
    """Return a template of a role, filled in as on a box."""
    target = tmp_path / template
    book = tmp_path / "render.yml"
    task = {"name": "Render", "ansible.builtin.template": {"src": f"{{{{ roles }}}}/{template}", "dest": str(target)}}
    files = ["{{ roles }}/../vars/main.yml"] if "appliance" in role else []
    book.write_text(
        yaml.dump([{"name": "Render", "hosts": "boxes", "gather_facts": False, "vars_files": files, "tasks": [task]}])
    )
    variables["roles"] = f"{play.folder}/{role}/templates"
    done = play(book, "-e", yaml.dump(variables, default_flow_style=True, width=10**6).strip())
    assert done.returncode == 0, done.stdout + done.stderr
    return target
