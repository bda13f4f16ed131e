# Starts so many processes one after the other, each of which makes one attempt that the fence refuses and ends. Prints for
# each its pid, the port that it tried, its program, and how long it lived in microseconds.
#
#   short-lived.pl ADDRESS FIRST-PORT COUNT
use strict;
use warnings;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

$| = 1;
my ($address, $first, $count) = @ARGV;
my $packed = join ',', split /\./, $address;

# Without modules, so that they live as short as a program can. 2 is AF_INET; 1 and 2 are streams and datagrams.
my @kinds = (
  ['/usr/bin/perl', sub { ('-e', 'socket S,2,1,6;connect S,pack"SnC4x8",2,$ARGV[0],' . $packed, $_[0]) }],
  ['/usr/bin/perl', sub { ('-e', 'socket S,2,2,17;send S,"x",0,pack"SnC4x8",2,$ARGV[0],' . $packed, $_[0]) }],
  ['/usr/bin/bash', sub { ('-c', ': 2>/dev/null >/dev/tcp/' . "$address/$_[0]") }],
  ['/usr/bin/bash', sub { ('-c', 'echo x 2>/dev/null >/dev/udp/' . "$address/$_[0]") }],
);

open(STDERR, '>', '/dev/null');
my @lines;
for my $index (0 .. $count - 1) {
  my $port = $first + $index;
  my ($program, $arguments) = @{ $kinds[$index % @kinds] };
  my $begun = clock_gettime(CLOCK_MONOTONIC);
  my $pid = fork // die "fork: $!";
  if (!$pid) {
    exec $program, $arguments->($port);
    exit 127;
  }
  waitpid $pid, 0;
  my $lived = int(1e6 * (clock_gettime(CLOCK_MONOTONIC) - $begun));
  push @lines, "$pid $port $program $lived\n";
}
print @lines;
