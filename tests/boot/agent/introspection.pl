# A stand-in for the agent: answers at its introspection endpoint with the configured cluster, as /etc/agent-mode says: `up`; `never` with a
# changed configuration; in the cluster `other` with one; `late`, after 3 s.
use strict;
use IO::Socket::INET;

sub slurp { open my $file, '<', $_[0] or return ''; local $/; my $text = <$file>; return $text }

my $config = slurp '/etc/ecs/ecs.config';
my ($cluster) = $config =~ /^ECS_CLUSTER=(.*)$/m;
chomp(my $mode = slurp '/etc/agent-mode');
my $is_new = $config =~ /^ECS_LOGLEVEL=warn$/m;
exit 1 if $mode eq 'never' && $is_new;
$cluster = 'other' if $mode eq 'other' && $is_new;
sleep 3 if $mode eq 'late' && $is_new;
my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1:51678', Listen => 5, ReuseAddr => 1) or die "51678: $!";
while (my $client = $socket->accept) {
    sysread $client, my $request, 4096;
    my $body = qq({"Cluster":"$cluster","Version":"stand-in"});
    print $client "HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body";
    close $client;
}
