# Starts so many processes, in lanes at the same time, and in each lane one after the other. Each makes one attempt that the
# fence refuses, to a port of its own, and ends. Each has an executable with a name of its own, made of the given ones, and a
# word as its argument that no other has: MARK-PORT.
#
# It says which pids may be (`limit`) and those of the lanes, and waits for a line. Then it prints of each attempt the lane,
# the pid, the port, the program, and how long the process lived in microseconds. Pids are those that it sees itself.
#
#   short-lived.pl MARK FIRST-PORT COUNT LANES {NAME EXECUTABLE-IN-HEX WHERE-ITS-PORT-STANDS}…
use strict;
use warnings;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

$| = 1;
my ($mark, $first, $count, $lanes, @words) = @ARGV;
my @kinds;
push @kinds, [splice @words, 0, 3] while @words;

my $folder = "/tmp/$mark";
mkdir $folder or die "$folder: $!";
my @programs;
for my $index (0 .. $count - 1) {
  my ($name, $hex, $at) = @{ $kinds[$index / $lanes % @kinds] };
  my $bytes = pack 'H*', $hex;
  substr($bytes, $at, 2) = pack 'n', $first + $index;
  my $program = "$folder/$name-$index";
  open(my $file, '>:raw', $program) or die "$program: $!";
  print $file $bytes;
  close $file or die "$program: $!";
  chmod 0755, $program;
  push @programs, $program;
}
open(my $limit, '<', '/proc/sys/kernel/pid_max') or die "pid_max: $!";
print 'limit ', scalar <$limit>;

pipe(my $wait, my $go) or die "pipe: $!";
my @outputs;
for my $lane (0 .. $lanes - 1) {
  my $pid = open(my $output, '-|') // die "fork: $!";
  if (!$pid) {
    close $go;
    my $line = <$wait>;
    print attempts($lane);
    exit 0;
  }
  push @outputs, $output;
  print "lane $pid\n";
}
my $line = <STDIN>;
close $go;
print <$_> for @outputs;

sub attempts {
  my ($lane) = @_;
  my @lines;
  for my $index (0 .. $count - 1) {
    next if $index % $lanes != $lane;
    my ($port, $program) = ($first + $index, $programs[$index]);
    my $begun = clock_gettime(CLOCK_MONOTONIC);
    my $pid = fork // die "fork: $!";
    if (!$pid) {
      exec { $program } $program, "$mark-$port";
      exit 127;
    }
    waitpid $pid, 0;
    my $lived = int(1e6 * (clock_gettime(CLOCK_MONOTONIC) - $begun));
    die "$program: $?" if $?;
    push @lines, "attempt $lane $pid $port $program $lived\n";
  }
  return @lines;
}
