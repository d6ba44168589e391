#!/usr/bin/perl
# sign.pl - AWS Signature Version 4 by AWS::Signature4, which shares nothing with pgbr's signer.
#
# Reads one request a line: method, URL, region, hash of the payload, then "name=value" for each
# header, all separated by tabs; "key" and "secret" are the arguments. Prints one signature a line.
use strict;
use warnings;
use AWS::Signature4;
use HTTP::Request;

my ($key, $secret) = @ARGV;
my $signer = AWS::Signature4->new(-access_key => $key, -secret_key => $secret);

while (my $line = <STDIN>) {
    chomp $line;
    my ($method, $url, $region, $payload, @headers) = split /\t/, $line;
    my $request = HTTP::Request->new($method => $url);
    $request->header(split /=/, $_, 2) for @headers;
    $signer->sign($request, $region, $payload);
    print +($request->header('Authorization') =~ /Signature=([0-9a-f]{64})$/)[0], "\n";
}
