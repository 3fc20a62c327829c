use strict;
use warnings;
use SOAP::Lite;

my ($recipients, $message, $apikey) = @ENV{qw(RECIPIENTS MESSAGE APIKEY)};
my $way = $ARGV[0];

sub show { my $result = shift; print "$result->{error} $result->{sent} $result->{id}\n" }

if ($way eq 'by WSDL') {
    utf8::decode($message);  # characters here, bytes below: this is how SOAP::Lite has it
    my $service = SOAP::Lite->service($ENV{WSDL});
    my $result = $service->sendSms($recipients, $message, $apikey);
    show($result);
    my $status = $service->getStatus($apikey, $result->{id});
    print "$status->{error} ", join(',', map { $_->{recipient} } @{$status->{deliveries}}), "\n";
    exit;
}

SOAP::Lite->soapversion('1.2') if $way =~ /1\.2$/;
my $client = SOAP::Lite->uri('urn:sendSmsNow')->proxy($ENV{ENDPOINT});
my @parameters = $way =~ /position/
    ? ($recipients, $message, $apikey)
    : (SOAP::Data->name(recipients => $recipients), SOAP::Data->name(message => $message),
       SOAP::Data->name(apikey => $apikey));
my $answer = $client->sendSms(@parameters);
die $answer->faultstring if $answer->fault;
show($answer->result);
