# Makes one attempt to send something, and prints its process, the port that it sent from and the error.
#
#   attempt.pl KIND ADDRESS PORT [SOURCE-PORT [ACTION...]]
#   KIND: tcp tcp-nonblocking sendto send write writev sendmsg sendmmsg udplite ping
#   ACTION, before the attempt: wait (for a line on standard input), delete, rename=PATH (of $0's interpreter, by its link),
#   thread (attempt in a second thread); after it: exec=PROGRAM, stay (until standard input ends)
use strict;
use warnings;
use Fcntl;
use Socket qw(:all);

$| = 1;
my ($kind, $address, $port, $source, @actions) = @ARGV;
my $six = $address =~ /:/;
my $family = $six ? AF_INET6 : AF_INET;
my $packed = inet_pton($family, $address) or die "bad address";
my $to = $six ? pack_sockaddr_in6($port, $packed) : pack_sockaddr_in($port, $packed);
my %types = (tcp => [SOCK_STREAM, 6], udplite => [SOCK_DGRAM, 136], ping => [SOCK_DGRAM, $six ? 58 : 1]);
my ($type, $protocol) = @{ $types{ $kind =~ s/-.*//r } // [SOCK_DGRAM, 17] };

socket(my $socket, $family, $type, $protocol) or die "socket: $!";
setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1);
setsockopt($socket, SOL_SOCKET, SO_REUSEPORT, 1);
if ($source) {
  my $from = $six ? pack_sockaddr_in6($source, inet_pton($family, '::')) : pack_sockaddr_in($source, INADDR_ANY);
  bind($socket, $from) or die "bind: $!";
}
# A message of sendmsg(2), with its address and one piece of data.
my $data = 'x';
my $piece = pack('P Q', $data, length $data);
my $message = pack('P L x4 P Q Q Q L x4', $to, length $to, $piece, 1, 0, 0, 0);

my %attempts = (
  'tcp' => sub { connect($socket, $to) },
  'tcp-nonblocking' => sub {
    fcntl($socket, F_SETFL, O_NONBLOCK);
    connect($socket, $to);
  },
  'sendto' => sub { send($socket, $data, 0, $to) },
  'udplite' => sub { send($socket, $data, 0, $to) },
  'send' => sub { connect($socket, $to); send($socket, $data, 0) },
  'write' => sub { connect($socket, $to); syswrite($socket, $data) },
  'writev' => sub { connect($socket, $to); syscall(20, fileno $socket, $piece, 1) },
  'sendmsg' => sub { syscall(46, fileno $socket, $message, 0) },
  'sendmmsg' => sub { my $all = $message . pack('L x4', 0); syscall(307, fileno $socket, $all, 1, 0) },
  'ping' => sub { send($socket, pack('C C n n n', $six ? 128 : 8, 0, 0, 1, 1), 0, $to) },
);
my $attempt = $attempts{$kind} or die "no such kind";

for (@actions) {
  <STDIN> if $_ eq 'wait';
  unlink $^X or die "unlink: $!" if $_ eq 'delete';
  rename $^X, $1 or die "rename: $!" if /^rename=(.*)/;
}
if (grep { $_ eq 'thread' } @actions) {
  require threads;
  threads->create(sub { $attempt->() })->join;
} else {
  $attempt->();
}
my $error = $! + 0;
my $name = getsockname $socket;
my ($from) = $name ? ($six ? unpack_sockaddr_in6($name) : unpack_sockaddr_in($name)) : (0);
print "$$ $from $error\n";
for (@actions) {
  exec $1, '5' if /^exec=(.*)/;
  1 while $_ eq 'stay' && <STDIN>;
}
