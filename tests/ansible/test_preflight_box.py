"""A box that cannot work is refused with one sentence before anything is changed: run for real, on this machine."""

ALLOW = ("-e", "cxrbox_allow_x86=true")


def test_a_machine_in_order_passes(preflight):
    done = preflight(*ALLOW)
    assert done.returncode == 0, done.stdout
    assert "changed=0" in done.stdout


def test_another_processor_is_refused(refusal):
    assert "bookworm on amd64; a box needs 64-bit (arm64)" in refusal()


def test_a_full_disk_is_refused(refusal):
    assert "MB free and 900000000 are needed" in refusal(*ALLOW, "-e", "cxrbox_free_mb=900000000")


def test_upgrades_without_a_way_out_are_refused(refusal):
    assert "cxrbox_allow_outgoing is empty" in refusal(*ALLOW, "-e", "cxrbox_unattended_upgrades=true")


def test_a_driver_that_is_not_in_the_folder_is_refused(refusal):
    assert "make offline-bundle DEBS=" in refusal(*ALLOW, "-e", "cxrbox_coral_deb=libedgetpu1-std_16_arm64.deb")


def test_a_read_only_root_is_refused_where_it_is_unknown(refusal):
    assert "works on Raspberry Pi OS only" in refusal(*ALLOW, "-e", "cxrbox_readonly_root=true")


def test_a_box_that_is_not_there_is_refused(refusal):
    nobody = "ansible_host: 127.0.0.1, ansible_port: 9, ansible_user: pi"
    assert "cannot be reached over ssh" in refusal(*ALLOW, box=nobody)
