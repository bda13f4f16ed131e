# Sends one packet, or makes one attempt, and prints what became of it: "ok", or the errno's name and how long it took
# in milliseconds. Perl without modules beyond perl-base, which every Debian has.
#
#   send.pl KIND ADDRESS [PORT [MARK]]
#   KIND: tcp udp udplite ping sctp short-sctp short-tcp fragment first-fragment big rawN (N is an IP protocol number)
use strict;
use warnings;
use Errno;
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 AF_INET6);
use Time::HiRes qw(time);

my ($kind, $address, $port, $mark) = @ARGV;
$port //= 0;
my $six = $address =~ /:/;
my $family = $six ? AF_INET6 : AF_INET;
my $packed = inet_pton($family, $address) or die "bad address";
my $to = $six ? pack_sockaddr_in6($port, $packed) : pack_sockaddr_in($port, $packed);
my ($so_mark, $raw_protocol) = (36, 255);

sub report {
  my ($ok, $begun) = @_;
  my ($name) = $ok ? 'ok' : grep { $!{$_} } qw(ECONNREFUSED EPERM EACCES EHOSTUNREACH ENETUNREACH EMSGSIZE EINVAL);
  printf "%s %d\n", $name // "errno " . ($! + 0), 1000 * (time - $begun);
  exit;
}

sub open_socket {
  my ($type, $protocol) = @_;
  socket(my $socket, $family, $type, $protocol) or report(0, time);
  setsockopt($socket, SOL_SOCKET, $so_mark, pack('i', $mark)) or die "mark: $!" if defined $mark;
  return $socket;
}

sub send_raw {
  my ($protocol, $payload) = @_;
  my $socket = open_socket(SOCK_RAW, $protocol);
  my $begun = time;
  # The port of a raw socket's address is its protocol, or 0.
  my $raw_to = $six ? pack_sockaddr_in6(0, $packed) : pack_sockaddr_in(0, $packed);
  report(defined send($socket, $payload, 0, $raw_to), $begun);
}

# A fragment: bytes 8 and on of a datagram whose beginning never comes, or its beginning.
sub send_fragment {
  my ($offset, $more, $protocol, $payload) = @_;
  if ($six) {
    my $source = inet_pton(AF_INET6, 'fd74:7761:776f::2');
    my $header = pack('C C n N', $protocol, 0, ($offset << 3) | $more, 0x0a0b0c0d);
    send_raw($raw_protocol, pack('N n C C a16 a16', 6 << 28, 8 + length $payload, 44, 64, $source, $packed) . $header . $payload);
  }
  my $source = inet_pton(AF_INET, '10.200.0.2');
  send_raw($raw_protocol, pack('C C n n n C C n a4 a4', 0x45, 0, 20 + length $payload, 77, ($more << 13) | $offset, 64, $protocol, 0, $source, $packed) . $payload);
}

if ($kind eq 'tcp') {
  my $socket = open_socket(SOCK_STREAM, 6);
  my $begun = time;
  report(connect($socket, $to), $begun);
} elsif ($kind eq 'udp' || $kind eq 'udplite') {
  my $socket = open_socket(SOCK_DGRAM, $kind eq 'udp' ? 17 : 136);
  my $begun = time;
  report(defined send($socket, 'hello', 0, $to), $begun);
} elsif ($kind eq 'big') {
  my $socket = open_socket(SOCK_DGRAM, 17);
  my $begun = time;
  report(defined send($socket, 'x' x ($six ? 65_527 : 65_507), 0, $to), $begun);
} elsif ($kind eq 'ping') {
  my $socket = open_socket(SOCK_DGRAM, $six ? 58 : 1);
  my $begun = time;
  my $to_host = $six ? pack_sockaddr_in6(0, $packed) : pack_sockaddr_in(0, $packed);
  report(defined send($socket, pack('C C n n n', $six ? 128 : 8, 0, 0, 0, 1) . 'hello', 0, $to_host), $begun);
} elsif ($kind eq 'sctp') {
  send_raw(132, pack('n n N N', 40000, $port, 0, 0));
} elsif ($kind eq 'short-sctp') {
  send_raw(132, 'x');
} elsif ($kind eq 'short-tcp') {
  send_raw(6, pack('n n', 40000, $port));
} elsif ($kind eq 'fragment') {
  send_fragment(185, 0, 17, 'rest of a datagram');
} elsif ($kind eq 'first-fragment') {
  send_fragment(0, 1, 17, pack('n n n n', 40000, $port, 100, 0) . 'beginning of a datagram.');
} elsif ($kind =~ /^raw(\d+)$/) {
  send_raw($1, $port ? pack('n n', 40000, $port) : '');
} else {
  die "unknown kind $kind";
}
