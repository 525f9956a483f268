#!/usr/bin/perl
# Sends made-up announcements of exo nodes to one address over UDP, each with another node id, from many local addresses in turn.
# Usage: announce-flood.pl TARGET PORT PER_SECOND SOURCE...; prints "ready", runs until it is killed.
use strict;
use warnings;
use Socket qw(inet_aton sockaddr_in AF_INET SOCK_DGRAM);
use Time::HiRes qw(time sleep);

my ($target, $port, $per_second, @sources) = @ARGV;
my $to = sockaddr_in($port, inet_aton($target));
my @sockets = map {
    socket(my $socket, AF_INET, SOCK_DGRAM, 0) or die "socket: $!\n";
    bind($socket, sockaddr_in(0, inet_aton($_))) or die "bind $_: $!\n";
    $socket;
} @sources;
$| = 1;
print "ready\n";

my ($start, $sent) = (time, 0);
while (1) {
    my $due = int((time - $start) * $per_second);
    for (; $sent < $due; $sent++) {
        my $port_of_node = 1024 + $sent % 60_000;
        send($sockets[$sent % @sockets],
            qq({"type": "discovery", "node_id": "spoof-$sent", "grpc_port": $port_of_node, "device_capabilities": {"model": "x", "chip": "x", "memory": 1, "flops": {"fp32": 0, "fp16": 0, "int8": 0}}, "priority": 7, "interface_name": "x", "interface_type": "Ethernet"}),
            0, $to);
    }
    sleep(0.002);
}
