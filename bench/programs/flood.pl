# Offers RATE packets a second for SECONDS, which are refused: UDP over PORTS ports of four addresses. Says how many were
# to be sent by the clock, how many were sent, and how many of these were refused by the word of the kernel, and how many
# milliseconds it took. The kernel tells a sender of a refusal by EPERM, ECONNREFUSED or EACCES.
#
#   flood.pl RATE SECONDS PORTS
use strict;
use warnings;
use Socket;
use Time::HiRes qw(time sleep);

my ($rate, $seconds, $ports) = @ARGV;
socket(my $socket, AF_INET, SOCK_DGRAM, 17) or die "socket: $!";
my @to = map { my $ip = inet_aton("198.51.100.$_"); map { pack_sockaddr_in($_, $ip) } 1 .. $ports } 1 .. 4;
my ($sent, $refused, $begun) = (0, 0, time);
my $end = $begun + $seconds;
while ((my $now = time) < $end) {
  my $due = int(($now - $begun) * $rate) - $sent;
  if ($due <= 0) { sleep 0.0005; next }
  # The clock is read again after so many, so that who cannot keep up ends in time.
  $due = 500 if $due > 500;
  for (1 .. $due) {
    defined(send($socket, 'x', 0, $to[$sent++ % @to])) or $refused++;
  }
}
printf "%d %d %d %d\n", $rate * $seconds, $sent, $refused, (time - $begun) * 1000;
