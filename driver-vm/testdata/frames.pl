# Opens the TAP as a guest's machine does, and sends one Ethernet frame a line of standard input, given as words:
#
#   KIND SOURCE-MAC SOURCE DESTINATION [PORT]      KIND: tcp udp icmp6 ip6tcp arp
#   raw SOURCE-MAC ETHERTYPE                       the type as four hexadecimal digits
#
# Prints "opened" or "refused ERRNO", then "sent N". Perl without modules beyond perl-base.
use strict;
use warnings;
use Socket qw(inet_pton AF_INET AF_INET6);

my ($interface, $destination_mac) = @ARGV;
# IFF_TAP | IFF_NO_PI. Source: include/uapi/linux/if_tun.h
if (!open(my $tap, '+<', '/dev/net/tun')) {
  printf "refused %d\n", $! + 0;
} elsif (!ioctl($tap, 0x400454ca, pack('a16 S x22', $interface, 0x1002))) {
  printf "refused %d\n", $! + 0;
} else {
  print "opened\n";
  my $sent = 0;
  while (my $line = <STDIN>) {
    my ($kind, $mac, $source, $destination, $port) = split ' ', $line;
    defined syswrite($tap, frame($kind, $mac, $source, $destination, $port // 0)) or die "write: $!";
    $sent += 1;
  }
  # The frames are counted by the time that the kernel has taken them all.
  select undef, undef, undef, 0.1;
  print "sent $sent\n";
}

sub mac { pack 'H12', $_[0] =~ tr/://dr }

sub frame {
  my ($kind, $mac, $source, $destination, $port) = @_;
  my $head = mac($destination_mac) . mac($mac);
  my $segment = pack 'n n N N C C n n n', 40000, $port, 1, 0, 0x50, 2, 1024, 0, 0;
  return $head . pack('H4', $source) . "\0" x 46 if $kind eq 'raw';
  return $head . pack('n', 0x0806) . pack('n n C C n', 1, 0x0800, 6, 4, 1) . mac($mac) . inet_pton(AF_INET, $source) . "\0" x 6 . inet_pton(AF_INET, $destination) if $kind eq 'arp';
  if ($kind eq 'tcp' || $kind eq 'udp') {
    my $payload = $kind eq 'tcp' ? $segment : pack('n n n n', 40000, $port, 8, 0);
    my @words = ('C C n n n C C', 0x45, 0, 20 + length $payload, 1, 0, 64, $kind eq 'tcp' ? 6 : 17);
    my $addresses = inet_pton(AF_INET, $source) . inet_pton(AF_INET, $destination);
    my $header = pack(shift @words, @words) . "\0\0" . $addresses;
    substr($header, 10, 2) = pack 'n', checksum($header);
    return $head . pack('n', 0x0800) . $header . $payload;
  }
  my ($next, $payload) = $kind eq 'icmp6' ? (58, pack('C C n', $port, 0, 0) . "\0" x 20) : (6, $segment);
  my $addresses = inet_pton(AF_INET6, $source) . inet_pton(AF_INET6, $destination);
  return $head . pack('n', 0x86dd) . pack('N n C C', 6 << 28, length $payload, $next, 255) . $addresses . $payload;
}

sub checksum {
  my $sum = unpack '%32n*', $_[0];
  $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
  return ~$sum & 0xffff;
}
