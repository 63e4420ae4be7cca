"""Messages between the reader and the process of the device: whole, in time, or an error."""

import socket
import threading

import pytest
from cxrbox.bodies.wire import LENGTHS, MOST_BYTES, receive, send


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("payload", [b"", b"film", bytes(5_000_000)])
def test_a_message_arrives_as_it_was_sent(ends, payload):
    ours, theirs = ends
    sender = threading.Thread(target=send, args=(ours, {"film": 7}, payload, 60))
    sender.start()
    assert receive(theirs, 60) == ({"film": 7}, payload)
    sender.join()


def test_messages_do_not_run_into_each_other(ends):
    ours, theirs = ends
    for number in range(3):
        send(ours, {"film": number}, bytes(number))
    assert [receive(theirs) for _ in range(3)] == [({"film": number}, bytes(number)) for number in range(3)]


@pytest.mark.parametrize("sent", [b"", b"\2\0", LENGTHS.pack(2, 5) + b"{}fil"])
def test_a_message_that_does_not_come_as_a_whole_is_late(ends, sent):
    ours, theirs = ends
    ours.sendall(sent)
    with pytest.raises(TimeoutError):
        receive(theirs, 0.1)


def test_a_message_that_trickles_in_is_late_all_the_same(ends):
    ours, theirs = ends
    over = threading.Event()

    def trickle():
        ours.sendall(LENGTHS.pack(2, 1000))
        while not over.wait(0.02):
            ours.sendall(b"x")

    sender = threading.Thread(target=trickle)
    sender.start()
    with pytest.raises(TimeoutError):
        receive(theirs, 0.3)
    over.set()
    sender.join()


def test_a_peer_that_takes_nothing_is_late(ends):
    with pytest.raises(TimeoutError):
        send(ends[0], {}, bytes(5_000_000), 0.1)


@pytest.mark.parametrize("sent", [b"", b"\2\0", LENGTHS.pack(2, 5) + b"{}fil"])
def test_a_peer_that_ends_before_its_message_does_is_gone(ends, sent):
    ours, theirs = ends
    ours.sendall(sent)
    ours.close()
    with pytest.raises(EOFError):
        receive(theirs, 60)


@pytest.mark.parametrize("sent", [LENGTHS.pack(2, MOST_BYTES), LENGTHS.pack(4, 0) + b"film"])
def test_what_is_no_message_is_refused(ends, sent):
    ours, theirs = ends
    ours.sendall(sent)
    with pytest.raises(ValueError):
        receive(theirs, 60)
