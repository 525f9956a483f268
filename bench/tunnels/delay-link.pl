#!/usr/bin/perl
# A wire between two TAP devices that holds every packet for a while, for machines whose kernel has no netem.
# Usage: delay-link.pl TAP_A TAP_B DELAY_US; prints "ready" once both devices exist, and runs until it is killed.
# Both devices are made in the namespace it runs in; moved to another one they stay connected.
use strict;
use warnings;
use Fcntl;
use Time::HiRes qw(time);

use constant { TUNSETIFF => 0x400454ca, IFF_TAP => 2, IFF_NO_PI => 0x1000, PACKET_MAX => 2048, BATCH => 64 };
my ($name_a, $name_b, $delay_us) = @ARGV;
my $delay = $delay_us / 1e6;

sub tap {
    my ($name) = @_;
    sysopen(my $device, '/dev/net/tun', O_RDWR | O_NONBLOCK) or die "/dev/net/tun: $!\n";
    ioctl($device, TUNSETIFF, pack('a16 s x22', $name, IFF_TAP | IFF_NO_PI)) or die "$name: $!\n";
    return $device;
}

my @ends = (tap($name_a), tap($name_b));
my @queues = ([], []);    # what came in at this end: [time it is due at the other, packet]
$| = 1;
print "ready\n";

while (1) {
    my $wanted = '';
    vec($wanted, fileno($_), 1) = 1 for @ends;
    my $now = time;
    my ($due) = sort { $a <=> $b } map { $_->[0][0] } grep { @$_ } @queues;
    my $wait = !defined $due ? undef : $due > $now ? $due - $now : 0;
    select($wanted, undef, undef, $wait);
    $now = time;
    for my $end (0, 1) {
        for (1 .. BATCH) {
            last unless sysread($ends[$end], my $packet, PACKET_MAX);
            push @{ $queues[$end] }, [$now + $delay, $packet];
        }
        while (@{ $queues[$end] } && $queues[$end][0][0] <= $now) {
            my $entry = shift @{ $queues[$end] };
            syswrite($ends[1 - $end], $entry->[1]);    # a full device drops it, as a full switch would
        }
    }
}
