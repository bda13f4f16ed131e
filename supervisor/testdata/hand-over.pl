# Hands a socket to another process, which sends by it.
#
#   hand-over.pl give PATH                   makes a UDP socket and gives it to whoever connects to PATH
#   hand-over.pl take PATH ADDRESS PORT      takes it and sends a datagram
use strict;
use warnings;
use Socket qw(:all);

$| = 1;
my ($role, $path, $address, $port) = @ARGV;
socket(my $local, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";

# A message of one byte with room for one descriptor: struct msghdr and struct cmsghdr of sendmsg(2).
sub message {
  my ($control) = @_;
  our $byte = 'x';
  our $piece = pack('P Q', $byte, 1);
  return pack('Q L x4 P Q P Q L x4', 0, 0, $piece, 1, $$control, length $$control, 0);
}

if ($role eq 'give') {
  socket(my $datagrams, AF_INET, SOCK_DGRAM, 0) or die "socket: $!";
  bind($local, pack_sockaddr_un($path)) or die "bind: $!";
  chmod 0777, $path;
  listen($local, 1);
  print "ready\n";
  accept(my $peer, $local) or die "accept: $!";
  my $control = pack('Q l l l x4', 20, SOL_SOCKET, 1, fileno $datagrams);
  syscall(46, fileno $peer, message(\$control), 0) >= 0 or die "sendmsg: $!";
  <STDIN>;
} else {
  connect($local, pack_sockaddr_un($path)) or die "connect: $!";
  my $control = "\0" x 24;
  syscall(47, fileno $local, message(\$control), 0) >= 0 or die "recvmsg: $!";
  my ($fd) = unpack('x8 x8 l', $control);
  open(my $datagrams, '+<&=', $fd) or die "descriptor $fd: $!";
  send($datagrams, 'x', 0, pack_sockaddr_in($port, inet_aton($address)));
  print "$$ ", $! + 0, "\n";
}
