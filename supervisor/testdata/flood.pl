# Sends refused packets of mixed protocols, as fast as it can: COUNT of them over PORTS ports. Packet i is of kind i % 8:
# 0 to 3 UDP, 4 UDP over IPv6, 5 protocol 253 without a body, 6 an ICMP echo, 7 SCTP. Needs root for its raw sockets.
#
#   flood.pl COUNT PORTS
use strict;
use warnings;
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 AF_INET6);

my ($count, $ports) = @ARGV;
my $open = sub { socket(my $socket, $_[0], $_[1], $_[2]) or die "socket: $!"; $socket };
my $udp = $open->(AF_INET, SOCK_DGRAM, 17);
my $udp6 = $open->(AF_INET6, SOCK_DGRAM, 17);
my %raw = map { $_ => $open->(AF_INET, SOCK_RAW, $_) } 1, 132, 253;
my @to4 = map { inet_aton("198.51.100.$_") } 1 .. 3;
my $to6 = inet_pton(AF_INET6, '2001:db8::1');
for my $i (0 .. $count - 1) {
  my ($kind, $port, $to) = ($i % 8, 1 + $i % $ports, $to4[$i % 3]);
  if ($kind < 4) { send($udp, 'x', 0, pack_sockaddr_in($port, $to)) }
  elsif ($kind == 4) { send($udp6, 'x', 0, pack_sockaddr_in6($port, $to6)) }
  elsif ($kind == 5) { send($raw{253}, '', 0, pack_sockaddr_in(0, $to)) }
  elsif ($kind == 6) { send($raw{1}, pack('C C n n n', 8, 0, 0xf7ff, 0, 0), 0, pack_sockaddr_in(0, $to)) }
  else { send($raw{132}, pack('n n N N', 4000, $port, 0, 0), 0, pack_sockaddr_in(0, $to)) }
}
